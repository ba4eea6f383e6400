"""Requests that fail: the changes that are saved, and those that are dropped."""

from __future__ import annotations

from typing import Any

import pytest
from flask import abort, redirect
from support.web import Web, cookies_set, end

from holdfast.errors import EncodeError, RecordTooLarge
from holdfast.flask import session


class Oops(Exception):
    """The exception of a view."""


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
    """The changes of a view that raised are dropped, and no cookie is sent."""
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
    assert handled.sessions.of("ada") == []


def test_a_view_that_raises_is_not_heard(handled: Web) -> None:
    """A failed request of a signed-in user sends no signal: the session did not change."""
    handled.do(lambda: session.bind("ada"))
    handled.take_heard()
    handled.do(failing(lambda: session.update(a=1)))
    assert handled.names() == []


def test_the_session_can_be_looked_at_after_a_failure() -> None:
    """The log of a failed request still sees the session as the view left it."""
    web, seen = Web(PROPAGATE_EXCEPTIONS=False), []

    @web.app.teardown_request
    def write_log(error: BaseException | None) -> None:
        seen.append(dict(session))

    web.put(a=1)
    web.do(failing(lambda: session.update(b=2)))
    assert seen == [{"a": 1}, {"a": 1, "b": 2}]


@pytest.mark.parametrize(
    "sign_out",
    [pytest.param(end, id="destroy"), pytest.param(lambda: session.pop("_user_id"), id="as Flask-Login does")],
)
def test_a_logout_that_raises_happens(handled: Web, sign_out: Any) -> None:
    """After a view that ends the session or signs its user out, and then raises, no user is signed in."""
    handled.put(_user_id="ada")
    copy = handled.twin()
    response = handled.do(failing(sign_out))
    assert response.status_code == 500
    assert handled.token() is None
    assert handled.data(copy) == {}
    assert handled.sessions.of("ada") == []


def test_saving_on_errors_can_be_turned_on(handled: Web) -> None:
    """With ``SESSION_SAVE_ON_ERROR`` a failed request's changes are kept, as Flask's own sessions do."""
    handled.app.config["SESSION_SAVE_ON_ERROR"] = True
    handled.do(failing(lambda: session.update(a=1)))
    assert handled.data() == {"cart": [1], "a": 1}


@pytest.mark.parametrize("status", [400, 404, 418])
def test_a_client_s_error_is_a_response_like_any_other(web: Web, status: int) -> None:
    """The changes of a view that aborted with a 4xx status are saved."""

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
    """A value that cannot be encoded is a TypeError that names its path, and nothing is stored."""
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


@pytest.mark.parametrize("place", ["memory://", "cookie://"])
def test_the_application_may_answer_a_session_that_is_too_large(place: str) -> None:
    """Its handler for `RecordTooLarge` answers instead of a 500, and no cookie is sent."""
    web = Web(SESSION_STORE=place, SESSION_MAX_BYTES=1000, PROPAGATE_EXCEPTIONS=False)
    web.app.register_error_handler(RecordTooLarge, lambda error: (f"{error.limit}", 413))
    web.put(a=1)
    response = web.put(b="x" * 5000)
    assert (response.status_code, response.text) == (413, "1000")
    assert not cookies_set(response)
    assert web.data() == {"a": 1}


def test_a_session_that_is_too_large_leaves_the_old_one(web: Web) -> None:
    """Beyond ``SESSION_MAX_BYTES`` the request fails with the sizes, and the stored session is intact."""
    web.app.config["SESSION_MAX_BYTES"] = 1000
    web.put(a=1)
    with pytest.raises(Exception, match=r"of \d+ bytes exceeds the limit of 1000: .*, or raise SESSION_MAX_BYTES$"):
        web.put(b="x" * 1000)
    with pytest.raises(Exception, match="exceeds the limit"):
        web.put(web.app.test_client(), b="x" * 1000)
    assert web.data() == {"a": 1}
    assert web.records() == 1
