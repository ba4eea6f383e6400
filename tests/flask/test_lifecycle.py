"""The session of a Flask request from its first use to the end of the response."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from flask import Blueprint, abort, copy_current_request_context, flash, g, get_flashed_messages, redirect
from flask.sessions import SessionMixin
from support.web import Web, cookies_set, end

from holdfast.errors import EncodeError
from holdfast.flask import session

LATE = "the session was changed after the response was saved"


# --- Flask's attributes ----------------------------------------------------------------------------------------------


def test_permanent_is_kept_with_the_session(web: Web) -> None:
    """`session.permanent` is False until it is set, and is remembered."""
    assert web.see(lambda: session.permanent) is False

    def view() -> None:
        session.permanent = True
        session["a"] = 1

    web.do(view)
    assert web.see(lambda: (session.permanent, session["_permanent"])) == (True, True)


def test_new_tells_whether_anything_is_stored(web: Web) -> None:
    """`session.new` is True until the session has been stored."""
    assert web.see(lambda: (session.new, session.update(a=1), session.new)) == (True, None, True)
    assert web.see(lambda: session.new) is False


def test_modified_tells_whether_the_session_differs(web: Web) -> None:
    """`session.modified` is True after a change, nested ones too, and when it was set."""
    web.put(cart=[1])
    assert web.see(lambda: (session["cart"], session.modified)) == ([1], False)
    assert web.see(lambda: (session["cart"].append(2), session.modified)) == (None, True)
    assert web.see(lambda: (session.update(a=1), session.modified)) == (None, True)

    def marked() -> bool:
        session.modified = True
        return session.modified

    assert web.see(marked) is True


def test_modified_does_not_look_anything_up(web: Web) -> None:
    """Asking an unused session whether it was modified, as extensions do, makes no store call."""
    web.put(a=1)
    assert web.calls(lambda: session.modified) == {}


def test_accessed_tells_whether_the_session_was_used(web: Web) -> None:
    """`session.accessed` is False until something is read or written, and can be set."""
    interface = web.app.session_interface
    with web.app.test_request_context() as context:
        opened = interface.open_session(web.app, context.request)
        assert opened is not None
        assert opened.accessed is False
        opened.get("a")
        assert opened.accessed is True
        opened.accessed = False
        assert opened.accessed is True


def test_the_session_is_a_mapping(web: Web) -> None:
    """Everything a dictionary can be asked, the session can, and it is Flask's kind of session."""

    def view() -> None:
        session["a"] = 1
        assert session.setdefault("a", 2) == 1
        assert session.setdefault("b", [2]) == [2]
        assert session.pop("a") == 1
        assert session.pop("a", None) is None
        with pytest.raises(KeyError):
            session["a"]
        with pytest.raises(KeyError):
            del session["a"]
        session.update({"c": 3}, d=4)
        assert (dict(session), len(session), list(session)) == ({"b": [2], "c": 3, "d": 4}, 3, ["b", "c", "d"])
        assert session == {"b": [2], "c": 3, "d": 4}
        assert isinstance(session._get_current_object(), SessionMixin)  # type: ignore[attr-defined]  # a proxy

    assert web.do(view).status_code == 200


def test_flash_messages_are_shown_once(web: Web) -> None:
    """Messages wait, with their categories and in order, for the next page that shows them."""

    def view() -> Any:
        flash("one")
        flash("two", "error")
        return redirect("/elsewhere")

    web.do(view)
    web.do(lambda: flash("three"))
    assert web.see(lambda: get_flashed_messages(with_categories=True)) == [
        ("message", "one"),
        ("error", "two"),
        ("message", "three"),
    ]
    assert web.see(get_flashed_messages) == []


def test_the_repr_holds_no_token(web: Web) -> None:
    """A session shows its data and never its token, nor looks anything up to be shown."""
    web.put(a=1)
    token = web.token()
    assert token is not None
    assert web.see(lambda: repr(session)) == "<FlaskSession not loaded>"
    shown = web.see(lambda: (session["a"], repr(session), str(vars(session._get_current_object()))))  # type: ignore[attr-defined]
    assert shown[1] == "<FlaskSession {'a': 1}>"
    assert token not in shown[1]


# --- the test client's transactions ----------------------------------------------------------------------------------


def test_session_transaction_writes_what_a_view_reads(web: Web) -> None:
    """What a test puts into the session is there for the next request."""
    with web.browser.session_transaction() as transaction:
        transaction["a"] = 1
    assert web.data() == {"a": 1}


def test_session_transaction_reads_what_a_view_wrote(web: Web) -> None:
    """A test sees what a request left, changes it, nested values too, and takes keys away."""
    web.put(a=1, cart=[1])
    with web.browser.session_transaction() as transaction:
        assert transaction["cart"] == [1]
        transaction["cart"].append(2)
        del transaction["a"]
    assert web.data() == {"cart": [1, 2]}


def test_session_transaction_that_only_looks_stores_nothing(web: Web) -> None:
    """A transaction on an empty session leaves no record and no cookie."""
    with web.browser.session_transaction() as transaction:
        assert "a" not in transaction
    assert web.records() == 0
    assert web.token() is None


def test_session_transaction_can_sign_in_and_out(web: Web) -> None:
    """A test can sign a user in before a request, and end the session after it."""
    with web.browser.session_transaction() as transaction:
        transaction["_user_id"] = "ada"
    assert web.see(lambda: session.owner) is not None
    with web.browser.session_transaction() as transaction:
        transaction.clear()
    assert web.token() is None
    assert web.records() == 0


def test_a_preserved_context_shows_the_session(web: Web) -> None:
    """After a request in a ``with`` block the test still sees its session."""
    with web.browser:
        web.put(a=1)
        assert session["a"] == 1


# --- errors ----------------------------------------------------------------------------------------------------------


class Oops(Exception):
    """What a view raises."""


def failing(change: Any) -> Any:
    """Return a view that does *change* and then raises."""

    def view() -> None:
        change()
        raise Oops

    return view


@pytest.fixture
def handled() -> Web:
    """Return an application that answers errors with 500 and has a session."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.put(cart=[1])
    return web


def test_a_view_that_raises_stores_nothing(handled: Web) -> None:
    """What a view changed before it raised is not kept, and no cookie is sent."""
    response = handled.do(failing(lambda: session.update(a=1)))
    assert response.status_code == 500
    assert not cookies_set(response)
    assert handled.data() == {"cart": [1]}
    assert handled.calls(failing(lambda: session["cart"].append(2))) == {"load": 1}


def test_a_view_that_raises_begins_no_session(handled: Web) -> None:
    """A new visitor whose request fails gets no record and no cookie."""
    browser = handled.app.test_client()
    response = handled.do(failing(lambda: session.update(a=1)), browser)
    assert not cookies_set(response)
    assert handled.records() == 1


def test_a_login_that_raises_does_not_happen(handled: Web) -> None:
    """A view that binds the session and then raises leaves it as it was, under the token it had."""
    token = handled.token()
    handled.do(failing(lambda: session.bind("ada")))
    assert handled.token() == token
    assert handled.data() == {"cart": [1]}
    assert handled.sessions.manager.of("ada") == []


@pytest.mark.parametrize(
    "sign_out",
    [pytest.param(end, id="destroy"), pytest.param(lambda: session.pop("_user_id"), id="as Flask-Login does")],
)
def test_a_logout_that_raises_happens(handled: Web, sign_out: Any) -> None:
    """A view that ends the session or signs its user out, and then raises, leaves nobody signed in."""
    handled.put(_user_id="ada")
    copy = handled.twin()
    response = handled.do(failing(sign_out))
    assert response.status_code == 500
    assert handled.token() is None
    assert handled.data(copy) == {}
    assert handled.sessions.manager.of("ada") == []


def test_saving_on_errors_can_be_turned_on(handled: Web) -> None:
    """With ``SESSION_SAVE_ON_ERROR`` a failed request's changes are kept, as Flask's own sessions do."""
    handled.app.config["SESSION_SAVE_ON_ERROR"] = True
    handled.do(failing(lambda: session.update(a=1)))
    assert handled.data() == {"cart": [1], "a": 1}


@pytest.mark.parametrize("status", [400, 404, 418])
def test_a_client_s_error_is_a_response_like_any_other(web: Web, status: int) -> None:
    """What a view changed before it aborted with a 4xx status is kept."""

    def view() -> None:
        session["a"] = status
        abort(status)

    assert web.do(view).status_code == status
    assert web.data() == {"a": status}


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_handler_can_use_the_session(status: int) -> None:
    """A handler for 404 or 500 reads the session, and a 404's change is kept."""
    web, seen = Web(PROPAGATE_EXCEPTIONS=False), []

    def handler(error: Exception) -> tuple[str, int]:
        seen.append(session.get("cart"))
        session["error"] = status
        return "sorry", status

    web.app.register_error_handler(status, handler)
    web.put(cart=[1])
    web.do(failing(lambda: None)) if status == 500 else web.browser.get("/nowhere")
    assert seen == [[1]]
    assert web.data().get("error") == (404 if status == 404 else None)


def test_an_error_handler_that_answers_well_saves(web: Web) -> None:
    """Where a handler turns an exception into a good response, the request has not failed."""
    web.app.register_error_handler(Oops, lambda _: redirect("/elsewhere"))
    web.do(failing(lambda: session.update(a=1)))
    assert web.data() == {"a": 1}


# --- values that cannot be kept --------------------------------------------------------------------------------------


def test_a_value_that_cannot_be_kept_names_its_path(web: Web) -> None:
    """A value without a form to be stored in is a TypeError that names where it is, and nothing is stored."""
    web.put(a=1, cart=[{}])

    def view() -> None:
        session["a"] = 2
        session["cart"][0]["item"] = object()

    with pytest.raises(EncodeError, match=r"cart.*item") as caught:
        web.do(view)
    assert isinstance(caught.value, TypeError)
    assert web.data() == {"a": 1, "cart": [{}]}


def test_a_value_that_cannot_be_kept_begins_no_session() -> None:
    """A new session with such a value is a 500 without a record and without a cookie."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    response = web.do(lambda: session.update(a=1, b=object()))
    assert response.status_code == 500
    assert not cookies_set(response)
    assert web.records() == 0


def test_a_session_that_is_too_large_leaves_the_old_one(web: Web) -> None:
    """Beyond ``SESSION_MAX_BYTES`` the request fails with the sizes, and the stored session is intact."""
    web.app.config["SESSION_MAX_BYTES"] = 1000
    web.put(a=1)
    with pytest.raises(Exception, match=r"of \d+ bytes exceeds the limit of 1000"):
        web.put(b="x" * 1000)
    with pytest.raises(Exception, match="exceeds the limit"):
        web.put(web.app.test_client(), b="x" * 1000)
    assert web.data() == {"a": 1}
    assert web.records() == 1


# --- changes that come too late --------------------------------------------------------------------------------------


def test_after_request_functions_can_change_the_session(web: Web) -> None:
    """What a function registered with `after_request` changes is saved."""

    @web.app.after_request
    def count(response: Any) -> Any:
        session["seen"] = session.get("seen", 0) + 1
        return response

    web.do(lambda: None)
    web.do(lambda: None)
    assert web.data()["seen"] == 2


@pytest.mark.parametrize("opened", [True, False], ids=["used before", "not used before"])
def test_a_change_in_a_teardown_function_is_reported(web: Web, caplog: pytest.LogCaptureFixture, opened: bool) -> None:
    """A change made when the response has been saved is lost, and a warning with the stack says so."""

    @web.app.teardown_request
    def late(error: BaseException | None) -> None:
        if g.get("late"):
            session["a"] = 2

    web.put(a=1)

    def view() -> None:
        g.late = True
        if opened:
            session["a"] = 1

    with caplog.at_level(logging.WARNING, "holdfast"):
        web.do(view)
    [record] = caplog.records
    assert LATE in record.message
    assert "in late" in str(record.stack_info)
    assert web.data() == {"a": 1}


def test_a_nested_change_in_a_teardown_function_is_reported_in_debug_mode(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """In debug mode even a late change inside a value is found."""
    web.app.debug = True

    @web.app.teardown_request
    def late(error: BaseException | None) -> None:
        session["cart"].append(2)

    with caplog.at_level(logging.WARNING, "holdfast"):
        web.put(cart=[1]).close()
    assert LATE in caplog.text


def test_a_change_in_a_thread_that_outlives_the_request_is_reported(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """A copied request context shares the session: in time its changes are saved, too late they are reported."""
    go, threads = threading.Event(), []

    def view() -> None:
        @copy_current_request_context
        def in_time() -> None:
            session["a"] = 1

        @copy_current_request_context
        def too_late() -> None:
            go.wait(10)
            session["a"] = 2

        first = threading.Thread(target=in_time)
        first.start()
        first.join()
        threads.append(threading.Thread(target=too_late))
        threads[0].start()

    with caplog.at_level(logging.WARNING, "holdfast"):
        web.do(view)
        go.set()
        threads[0].join()
    assert LATE in caplog.text
    assert web.data() == {"a": 1}


def test_a_saved_change_is_not_reported(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Ordinary requests, in debug mode too, log nothing."""
    web.app.debug = True
    with caplog.at_level(logging.DEBUG, "holdfast"):
        for action in (lambda: session.update(cart=[1]), lambda: session["cart"].append(2), end, lambda: None):
            web.do(action)
    assert caplog.records == []


# --- contexts --------------------------------------------------------------------------------------------------------


def test_an_inner_application_context_keeps_the_session(web: Web) -> None:
    """Pushing the application's context inside a request changes nothing about the session."""

    def view() -> None:
        session["a"] = 1
        with web.app.app_context():
            session["b"] = 2
        session["c"] = 3

    web.do(view)
    assert web.data() == {"a": 1, "b": 2, "c": 3}


def test_an_inner_request_has_a_session_of_its_own(web: Web) -> None:
    """A request made inside a view has its own session, and the outer one goes on as it was."""
    other = web.app.test_client()

    def view() -> None:
        session["a"] = 1
        web.put(other, b=2)
        assert dict(session) == {"a": 1}

    web.do(view)
    assert web.data() == {"a": 1}
    assert web.data(other) == {"b": 2}


def test_a_pushed_context_without_a_response_stores_nothing(web: Web) -> None:
    """A session used in `test_request_context`, where no response is made, leaves nothing behind."""
    with web.app.test_request_context():
        session["a"] = 1
        assert session["a"] == 1
    assert web.records() == 0


def test_before_request_functions_use_the_same_session(web: Web) -> None:
    """What a function registered with `before_request` changes is seen by the view and saved, also if it answers."""

    @web.app.before_request
    def count() -> str | None:
        session["seen"] = session.get("seen", 0) + 1
        return "enough" if session["seen"] == 2 else None

    assert web.see(lambda: session["seen"]) == 1
    assert web.do(lambda: None).text == "enough"
    assert web.see(lambda: session["seen"]) == 3


def test_a_blueprint_uses_the_application_s_session(web: Web) -> None:
    """Views of a blueprint share the session with those of the application."""
    admin = Blueprint("admin", __name__, url_prefix="/admin")

    @admin.get("/")
    def view() -> str:
        session["b"] = session["a"] + 1
        return "done"

    web.app.register_blueprint(admin)
    web.put(a=1)
    assert web.browser.get("/admin/").text == "done"
    assert web.data() == {"a": 1, "b": 2}


def test_an_async_view(web: Web) -> None:
    """An async view uses the session like any other."""
    pytest.importorskip("asgiref", reason="Flask runs async views with asgiref")

    async def view() -> str:
        session["a"] = 1
        return "done"

    web.app.add_url_rule("/async", view_func=view)
    assert web.browser.get("/async").text == "done"
    assert web.data() == {"a": 1}
