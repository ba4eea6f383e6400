"""A store that fails, and changes that cannot be merged: never a logout, never a half-kept session."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, send_file
from support.web import Web, cookies_set, end, rotate, varies
from werkzeug.routing import BaseConverter
from werkzeug.test import TestResponse

from holdfast.errors import HoldfastError, SessionConflict, StoreUnavailable
from holdfast.flask import session


@pytest.fixture
def known() -> Web:
    """Return an application whose browser has a session."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.put(cart=[1])
    web.take_heard()
    return web


def assert_come_back(response: TestResponse, *, unsure: bool = False) -> None:
    """Assert that the answer is to come back later, and says nothing about the session.

    If it is *unsure* whether the token was changed, the cookie holds both.
    """
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert ["~" in cookie for cookie in cookies_set(response)] == [True] * unsure
    assert response.headers["Cache-Control"] == "no-store"
    assert "cookie" in varies(response.headers)


VIEWS = {
    "read": lambda: session["cart"],
    "write": lambda: session.update(a=1),
    "nested": lambda: session["cart"].append(2),
    "rotate": rotate,
    "login": lambda: session.bind("ada"),
    "logout": end,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_an_outage_at_load_is_503(known: Web, view: Any) -> None:
    """A request that uses the session while the store is down is asked to come back, and keeps its cookie."""
    with known.failing.outage():
        assert_come_back(known.do(view))
    assert known.data() == {"cart": [1]}


def test_a_lookup_that_is_interrupted_is_repeated(known: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit of gevent's, which is no Exception, is no logout: the next use looks the session up again."""

    class Timeout(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Timeout

    def view() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(known.failing, "around", interrupt)
            with pytest.raises(Timeout):
                session.get("cart")
        session["cart"].append(2)

    assert known.do(view).status_code == 200
    assert known.data() == {"cart": [1, 2]}


@pytest.mark.parametrize("name", list(VIEWS)[1:])
@pytest.mark.parametrize("operations", [["replace", "move"], ["replace", "move", "load", "delete"]])
def test_an_outage_at_save_is_503(known: Web, name: str, operations: list[str]) -> None:
    """If the store goes down before the session is saved, no change is reported as done, and none is."""
    if name == "logout" and "delete" not in operations:
        pytest.skip("a logout deletes the record where nothing can be written")

    def then_down() -> None:
        VIEWS[name]()
        known.failing.fail(*operations, times=float("inf"))

    assert_come_back(known.do(then_down), unsure=name in ("rotate", "login") and "load" in operations)
    known.failing.heal()
    assert known.data() == {"cart": [1]}


@pytest.mark.parametrize("name", ["write", "rotate", "login", "logout"])
def test_an_outage_after_the_store_did_its_work(known: Web, name: str) -> None:
    """When the answer to a save is lost, the store is asked, and the response is that of the save."""

    def then_down() -> None:
        VIEWS[name]()
        known.failing.fail("replace", "move", before=False)

    response = known.do(then_down)
    assert response.status_code == 200
    assert bool(cookies_set(response)) == (name != "write")
    expected = {"write": {"cart": [1], "a": 1}, "logout": {}}.get(name, {"cart": [1]})
    assert known.data() == expected


def test_an_outage_at_a_first_write(known: Web) -> None:
    """A new session that cannot be stored is 503, without a cookie."""
    browser = known.app.test_client()
    with known.failing.outage():
        assert_come_back(known.do(lambda: session.update(a=1), browser))
    assert known.records() == 1


def test_an_outage_at_a_touch_is_503(known: Web) -> None:
    """A session whose life could not be extended is not said to live."""
    known.clock.advance(10 * 24 * 3600)
    known.failing.fail("touch")
    assert_come_back(known.do(lambda: session["cart"]))
    assert known.data() == {"cart": [1]}


def test_requests_that_do_not_need_the_store_are_served(known: Web) -> None:
    """While the store is down, a request that does not use the session, or has none, is answered as always."""
    with known.failing.outage():
        assert known.do(lambda: None).status_code == 200
        assert known.do(lambda: session.get("a"), known.app.test_client()).status_code == 200
        assert known.do(lambda: session.get("a"), known.with_token("nonsense")).status_code == 200


@pytest.mark.parametrize("settings", [{}, {"SESSION_STORE": "cookie://"}], ids=["store", "cookie"])
def test_a_readiness_probe(settings: dict[str, Any]) -> None:
    """`sessions.ping()` returns while the store answers, without a cookie, and answers 503 while it does not."""
    web = Web(PROPAGATE_EXCEPTIONS=False, **settings)
    assert web.do(web.sessions.ping).status_code == 200
    if not settings:
        web.failing.fail("ping")
        response = web.do(web.sessions.ping)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert "Vary" not in response.headers
        assert dict(web.store.counts) == {"ping": 2}
    assert not cookies_set(web.do(web.sessions.ping))


def test_an_outage_is_heard_and_logged(known: Web, caplog: pytest.LogCaptureFixture) -> None:
    """An outage sends its signal with the error, and is logged with its cause."""
    with known.failing.outage(), caplog.at_level(logging.ERROR):
        known.do(lambda: session["cart"])
    [(name, details), (rejected, reason)] = known.take_heard()
    assert (name, rejected) == ("store_unavailable", "rejected")
    assert reason == {"reason": "store_unavailable", "transport": "cookie"}
    assert isinstance(details["error"], StoreUnavailable)
    [record] = caplog.records
    assert record.getMessage() == f"the session store is unavailable: {details['error']}"
    assert record.exc_info is None


def test_an_outage_is_logged_a_few_times_a_minute(known: Web, caplog: pytest.LogCaptureFixture) -> None:
    """A hundred requests during an outage log three lines, and the first one after a minute how many were omitted."""
    with known.failing.outage(), caplog.at_level(logging.INFO):
        for _ in range(100):
            known.do(lambda: session["cart"])
        assert len([record for record in caplog.records if record.name == "holdfast"]) == 3
        known.clock.advance(61)
        known.do(lambda: session["cart"])
    assert "unavailable 97 more times" in caplog.text


def test_the_application_s_own_handler_wins() -> None:
    """An error handler of the application's answers outages, at load and at save, before or after the extension."""
    web = Web()
    web.app.register_error_handler(StoreUnavailable, lambda _: ("ours", 503, {"X-Ours": "yes"}))
    web.put(cart=[1])
    with web.failing.outage():
        assert web.do(lambda: session["cart"]).text == "ours"
    web.failing.fail("replace", times=2)
    response = web.do(lambda: session.update(a=1))
    assert (response.text, response.headers["X-Ours"]) == ("ours", "yes")
    assert "Set-Cookie" not in response.headers


def test_a_handler_registered_before_the_extension_stays() -> None:
    """Making the extension does not replace a handler that is there already."""
    from holdfast.flask import Session

    web = Web()
    app = Flask("early")
    app.register_error_handler(StoreUnavailable, lambda _: ("ours", 503))
    app.config["SESSION_STORE"] = web.store
    Session(app)
    app.add_url_rule("/", view_func=lambda: str(session.get("a")))
    browser = app.test_client()
    browser.set_cookie("session", "A" * 43)
    with web.failing.outage():
        assert browser.get("/").text == "ours"


def test_a_blueprint_s_handler_wins_for_its_views() -> None:
    """A blueprint may answer outages in its own way."""
    web = Web()
    api = Blueprint("api", __name__, url_prefix="/api")
    api.register_error_handler(StoreUnavailable, lambda _: ({"error": "come back"}, 503))
    api.add_url_rule("/", view_func=lambda: str(session.get("a")))
    web.app.register_blueprint(api)
    web.put(a=1)
    with web.failing.outage():
        assert web.browser.get("/api/").json == {"error": "come back"}


def test_an_outage_met_in_after_request_is_503() -> None:
    """An outage met by a function that reads the session after every request is answered like any other."""
    web = Web(PROPAGATE_EXCEPTIONS=False)

    @web.app.after_request
    def read(response: Response) -> Response:
        session.get("cart")
        return response

    web.put(cart=[1])
    with web.failing.outage():
        assert_come_back(web.do(lambda: None))
    assert web.data() == {"cart": [1]}


def test_an_outage_met_in_a_url_converter_is_503() -> None:
    """An outage met before there is a view is answered like any other."""

    class Mine(BaseConverter):
        """Accepts what is in the session."""

        def to_python(self, value: str) -> Any:
            return session["cart"][int(value)]

    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.app.url_map.converters["mine"] = Mine
    web.app.add_url_rule("/item/<mine:item>", "item", str)
    web.put(cart=[1])
    with web.failing.outage():
        assert_come_back(web.browser.get("/item/0"))


def test_a_file_that_was_to_be_sent_is_closed(known: Web) -> None:
    """When a save fails, the response that is given up releases its file."""
    files: list[io.BytesIO] = []

    def view() -> Response:
        session["a"] = 1
        files.append(io.BytesIO(b"file"))
        known.failing.fail("replace", times=2)
        return send_file(files[0], mimetype="text/plain")

    assert_come_back(known.do(view))
    assert files[0].closed


# --- SESSION_ON_STORE_ERROR="anonymous" ------------------------------------------------------------------------------


@pytest.fixture
def lenient() -> Web:
    """Return an application that goes on without its sessions when the store is down."""
    web = Web(SESSION_ON_STORE_ERROR="anonymous")
    web.put(cart=[1])
    return web


def test_anonymous_during_an_outage(lenient: Web) -> None:
    """Everybody is a stranger while the store is down: an empty session, and no cookie."""
    with lenient.failing.outage():
        response = lenient.do(lambda: str(dict(session)))
        assert (response.status_code, response.text) == (200, "{}")
        assert not cookies_set(response)
        assert lenient.see(lambda: session.read_only) is True
    assert lenient.data() == {"cart": [1]}


@pytest.mark.parametrize("view", [VIEWS["write"], VIEWS["rotate"]])
def test_nothing_is_kept_of_an_outage(lenient: Web, view: Any) -> None:
    """Changes of such a session are dropped, and the stored session is unchanged afterwards."""
    with lenient.failing.outage():
        response = lenient.do(view)
        assert response.status_code == 200
        assert not cookies_set(response)
    assert lenient.data() == {"cart": [1]}


def test_a_logout_during_an_outage_is_503(lenient: Web) -> None:
    """A logout that ends nothing is no success, whatever else is anonymous during an outage."""
    with lenient.failing.outage():
        assert_come_back(lenient.do(VIEWS["logout"]))
    assert lenient.data() == {"cart": [1]}


def test_a_login_during_an_outage_is_503(lenient: Web) -> None:
    """A user who has proved who they are is not answered as if they were signed in."""
    with lenient.failing.outage():
        assert_come_back(lenient.do(VIEWS["login"]))
    assert lenient.data() == {"cart": [1]}


def test_an_outage_at_save_is_503_all_the_same(lenient: Web) -> None:
    """A change that was made on the real session and could not be stored is never answered as if it were."""

    def view() -> None:
        session["a"] = 1
        lenient.failing.fail("replace", times=2)

    assert_come_back(lenient.do(view))
    assert lenient.data() == {"cart": [1]}


# --- SESSION_ON_CONFLICT="error" -------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Web:
    """Return an application that does not merge."""
    web = Web(SESSION_ON_CONFLICT="error")
    web.put(a=0, b=0)
    return web


def test_a_conflict_is_409(strict: Web) -> None:
    """The later of two changes to one session is refused whole, and sends no cookie."""
    other = strict.twin()

    def view() -> None:
        session["b"] = 1
        strict.put(other, a=1)

    response = strict.do(view)
    assert response.status_code == 409
    assert "Set-Cookie" not in response.headers
    assert strict.data() == {"a": 1, "b": 0}


@pytest.mark.parametrize("transition", [rotate, lambda: session.bind("ada")], ids=["rotate", "login"])
def test_a_login_and_a_rotation_do_not_conflict(strict: Web, transition: Any) -> None:
    """They win, with what they and the other request have changed."""
    other = strict.twin()

    def view() -> None:
        session["b"] = 1
        strict.put(other, a=1)
        transition()

    response = strict.do(view)
    assert response.status_code == 200
    assert strict.token() != strict.token(other)
    assert strict.data() == {"a": 1, "b": 1}


def test_a_logout_does_not_conflict(strict: Web) -> None:
    """Ending a session that somebody else just changed ends it."""
    other = strict.twin()

    def view() -> None:
        session.get("a")
        strict.put(other, a=1)
        session.clear()

    assert strict.do(view).status_code == 200
    assert strict.data(other) == {}


def test_a_read_does_not_conflict(strict: Web) -> None:
    """A request without changes does not conflict with one that changes data."""
    other = strict.twin()

    def view() -> None:
        session.get("a")
        strict.put(other, a=1)

    assert strict.do(view).status_code == 200


def test_the_application_answers_conflicts(strict: Web) -> None:
    """An error handler for `SessionConflict`, or for a class above it, is the application's to give."""
    web = Web(SESSION_ON_CONFLICT="error")
    web.app.register_error_handler(SessionConflict, lambda _: ("again, please", 409))
    web.app.register_error_handler(HoldfastError, lambda _: ("some error", 500))
    web.put(a=0)
    other = web.twin()

    def view() -> None:
        session["a"] = 1
        web.put(other, a=2)

    assert web.do(view).text == "again, please"
