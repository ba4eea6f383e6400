"""The exceptions of Holdfast as HTTP exceptions: pages of the application's, extensions, and Flask's next version."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response
from support.next_flask import NextFlask
from support.web import Web
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from holdfast.errors import StoreUnavailable
from holdfast.flask import require_fresh, session


def read() -> None:
    """Use the session."""
    session.get("a")


def write() -> None:
    """Change the session."""
    session["a"] = 1


FAILURES = {"load": (read, ["load"]), "save": (write, ["replace", "move", "load"])}


def fail(web: Web, at: str) -> Any:
    """Return the answer to a request whose store fails at its lookup or when it is saved."""
    view, operations = FAILURES[at]

    def then_down() -> None:
        session.get("a")
        web.failing.fail(*operations, times=float("inf"))
        view()

    if at == "load":
        web.failing.fail(*operations, times=float("inf"))
        return web.do(view)
    return web.do(then_down)


@pytest.mark.parametrize("at", FAILURES)
@pytest.mark.parametrize("of", [503, ServiceUnavailable, StoreUnavailable, HTTPException, Exception])
def test_the_page_of_the_application_answers_an_outage(at: str, of: Any) -> None:
    """A handler for 503, for HTTP exceptions or for all answers an outage as it answers `abort(503)`."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.app.register_error_handler(of, lambda error: (f"sorry: {error.code}", 503, {"X-Ours": "yes"}))
    web.put(a=0)
    response = fail(web, at)
    assert (response.status_code, response.text, response.headers["X-Ours"]) == (503, "sorry: 503", "yes")
    assert (response.headers["Retry-After"], "Set-Cookie" in response.headers) == ("5", False)


@pytest.mark.parametrize("at", FAILURES)
def test_the_page_of_the_application_says_itself_when_to_retry(at: str) -> None:
    """A handler's own `Retry-After` stays, and an answer that is no 503 gets none."""
    answers = iter([Response("sorry", 503, {"Retry-After": "60"}), Response("a page without a session")])
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.app.register_error_handler(503, lambda _: next(answers))
    web.put(a=0)
    assert fail(web, at).headers["Retry-After"] == "60"
    web.failing.heal()
    response = fail(web, at)
    assert (response.status_code, "Retry-After" in response.headers) == (200, False)


@pytest.mark.parametrize("at", FAILURES)
def test_an_extension_finds_an_http_exception(at: str) -> None:
    """An extension that replaces the application's error handling gets the status, and the headers of the answer."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.put(a=0)
    seen: list[BaseException] = []

    def route_errors(*arguments: Any) -> Any:  # Flask after 3.1 passes the context first
        error = arguments[-1]
        seen.append(error)
        assert isinstance(error, HTTPException)
        return {"message": error.description}, error.code, dict(error.get_response().headers)

    web.app.handle_user_exception = route_errors  # type: ignore[method-assign, assignment]  # as Flask-RESTful does
    response = fail(web, at)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert isinstance(seen[0], StoreUnavailable)


def test_a_user_who_must_sign_in_again_gets_the_page_for_401() -> None:
    """`require_fresh` is answered by the application's page for 401."""
    web = Web()
    web.app.register_error_handler(401, lambda _: ("please", 401))
    assert web.do(require_fresh(60)(lambda: "secret")).text == "please"


@pytest.mark.parametrize("at", FAILURES)
@pytest.mark.parametrize("flask", [Flask, NextFlask])
def test_an_outage_is_503_on_the_next_flask(at: str, flask: type[Flask]) -> None:
    """The answer is the same where `handle_user_exception` takes the context first."""
    web = Web(flask=flask, PROPAGATE_EXCEPTIONS=False)
    web.put(a=0)
    response = fail(web, at)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
