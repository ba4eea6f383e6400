"""The session of a Flask request from its first use to the end of the response."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Blueprint, copy_current_request_context, flash, get_flashed_messages, redirect
from flask.sessions import SessionMixin
from support.web import Web

from holdfast.errors import StoreUnavailable
from holdfast.flask import session
from holdfast.records.record import Record
from holdfast.stores.memory import MemoryStore

DAY = 24 * 3600

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


def test_modified_stays_after_the_session_was_saved(web: Web) -> None:
    """After the request, the session still shows whether it was changed."""
    with web.browser:
        web.put(a=1)
        assert session.modified is True
    with web.browser:
        web.do(lambda: session["a"])
        assert session.modified is False


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
    assert shown[1] == "<FlaskSession with 1 keys>"
    assert token not in shown[1]


# --- the test client's transactions ----------------------------------------------------------------------------------


def test_session_transaction_writes_what_a_view_reads(web: Web) -> None:
    """A value that a test puts into the session is there for the next request."""
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


# --- contexts --------------------------------------------------------------------------------------------------------


def test_an_inner_application_context_keeps_the_session(web: Web) -> None:
    """Pushing the application's context inside a request does not change the session."""

    def view() -> None:
        session["a"] = 1
        with web.app.app_context():
            pass  # from Flask 3.2 on, no request is seen from here
        session["b"] = 2

    web.do(view)
    assert web.data() == {"a": 1, "b": 2}


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
    """A session used in `test_request_context`, without a response, leaves no record."""
    with web.app.test_request_context():
        session["a"] = 1
        assert session["a"] == 1
    assert web.records() == 0


def test_before_request_functions_use_the_same_session(web: Web) -> None:
    """Changes in a function registered with `before_request` are visible in the view and saved, also if it answers."""

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


# --- timeouts ---------------------------------------------------------------------------------------------------------


class Slow(MemoryStore):
    """Waits in the load of a session until another thread has used it, or a moment."""

    loading: threading.Event | None = None
    used: threading.Event
    fails = False

    def load(self, key: str, /) -> Record | None:
        """Return the record."""
        if self.loading is not None:
            self.loading.set()
            self.used.wait(0.1)
            if self.fails:
                raise StoreUnavailable("made to fail")
        return super().load(key)


@pytest.mark.parametrize("fails", [False, True])
def test_threads_of_one_request_wait_for_its_session(fails: bool) -> None:
    """Of two threads that use it first at once, the second gets the same session, or the same error."""
    web = Web(lambda clock: Slow(clock=clock))
    web.put(name="ada")
    loading, used, answers = threading.Event(), threading.Event(), []

    def use(name: str) -> None:
        try:
            answers.append(session.get("name"))
            session[name] = 1
        except StoreUnavailable:
            answers.append("unavailable")
        used.set()

    def view() -> str:
        threads = [threading.Thread(target=copy_current_request_context(use), args=(name,)) for name in ("a", "b")]
        threads[0].start()
        assert loading.wait(9)
        threads[1].start()
        for thread in threads:
            thread.join()
        return "done"

    web.memory.loading, web.memory.used, web.memory.fails = loading, used, fails
    web.do(view)
    web.memory.loading = None
    assert answers == (["unavailable"] * 2 if fails else ["ada"] * 2)
    assert web.data() == ({"name": "ada"} if fails else {"name": "ada", "a": 1, "b": 1})


def test_a_shorter_timeout_holds_at_once(web: Web) -> None:
    """A timeout that is shortened ends sessions that are idle for longer, whatever the store still has."""
    web.put(cart=[1])
    web.clock.advance(3600)
    web.app.config["PERMANENT_SESSION_LIFETIME"] = 3600
    assert web.data() == {}
    assert web.reasons() == ["expired_idle"]


def test_a_longer_timeout_holds_at_the_next_use(web: Web) -> None:
    """A timeout that is lengthened counts from the next use that is worth a write."""
    web.put(cart=[1])
    web.app.config["PERMANENT_SESSION_LIFETIME"] = 60 * DAY
    web.clock.advance(6 * DAY)
    assert web.data() == {"cart": [1]}
    web.clock.advance(59 * DAY)
    assert web.data() == {"cart": [1]}


def test_activity_does_not_move_the_absolute_timeout(web: Web) -> None:
    """A session in steady use is over when its absolute timeout is."""
    web.put(cart=[1])
    web.app.config.update(SESSION_ABSOLUTE_LIFETIME=10 * DAY, PERMANENT_SESSION_LIFETIME=DAY)
    for _ in range(19):
        web.clock.advance(DAY / 2)
        assert web.data() == {"cart": [1]}
    web.clock.advance_ms(DAY * 500 - 1)
    assert web.data() == {"cart": [1]}
    web.clock.advance_ms(1)
    web.take_heard()
    assert web.data() == {}
    assert web.reasons() == ["expired_absolute"]
