"""The extension: one application, several, factories, and what can be asked of it."""

from __future__ import annotations

import gc
import re
import time
import weakref
from typing import Any

import flask
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from support.web import Web, end

import holdfast.flask
from holdfast.errors import ConfigurationError
from holdfast.flask import FlaskSession, Session, session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FakeClock


def make_app(name: str = "shop", **config: Any) -> Flask:
    """Return an application with a view that counts visits."""
    app = Flask(name)
    app.config.update(SESSION_STORE=MemoryStore(), **config)

    @app.get("/")
    def count() -> str:
        session["seen"] = session.get("seen", 0) + 1
        return str(session["seen"])

    return app


def test_session_is_flask_s_own_proxy() -> None:
    """`holdfast.flask.session` is `flask.session`, and stands for a session with our methods."""
    assert holdfast.flask.session is flask.session
    app = make_app()
    Session(app)
    with app.test_request_context():
        assert isinstance(flask.session._get_current_object(), FlaskSession)  # type: ignore[attr-defined]  # a proxy


def test_the_extension_is_registered() -> None:
    """It is found at ``app.extensions["holdfast"]``."""
    app = make_app()
    sessions = Session(app)
    assert app.extensions["holdfast"] is sessions


def test_a_clock_of_fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is given must return whole milliseconds; that of a library that patches Python's may not."""
    with pytest.raises(ConfigurationError, match=r"clock returns 1\.5: it must return whole milliseconds"):
        Session(make_app(), clock=lambda: 1.5)  # type: ignore[arg-type,return-value]  # the mistake
    app = make_app()
    Session(app)
    monkeypatch.setattr(time, "time_ns", lambda: time.time() * 1e9)
    assert [app.test_client().get("/").status_code for _ in range(2)] == [200, 200]


def test_init_app_serves_several_applications() -> None:
    """One extension gives each application that it is initialized with its own sessions and settings."""
    sessions = Session()
    apps = [make_app("one", SESSION_COOKIE_NAME="one"), make_app("two", SESSION_COOKIE_NAME="two")]
    for app in apps:
        sessions.init_app(app)
    browsers = [app.test_client() for app in apps]
    assert [browser.get("/").text for browser in (*browsers, *browsers, browsers[0])] == ["1", "1", "2", "2", "3"]
    assert browsers[0].get_cookie("one")
    assert browsers[0].get_cookie("two") is None


def test_a_factory_makes_any_number() -> None:
    """Applications that a factory makes do not disturb each other, even over one store."""
    store = MemoryStore()

    def create_app() -> Flask:
        app = make_app()
        app.config["SESSION_STORE"] = store
        Session(app)
        return app

    one, two = create_app(), create_app()
    browser = one.test_client()
    browser.get("/")
    cookie = browser.get_cookie("session")
    assert cookie is not None
    other = two.test_client()
    other.set_cookie("session", cookie.value)
    assert other.get("/").text == "2"


def test_an_application_can_be_forgotten() -> None:
    """The extension keeps no reference to an application: it is freed at once."""
    sessions = Session()
    app = Flask("shop", static_folder=None)
    app.config["SESSION_STORE"] = MemoryStore()
    sessions.init_app(app)
    reference = weakref.ref(app)
    gc.disable()
    try:
        del app
        assert reference() is None
    finally:
        gc.enable()


def test_nothing_is_done_before_the_first_use() -> None:
    """Making the extension makes no store call."""
    app = make_app()
    app.config["SESSION_STORE"] = store = CountingStore(MemoryStore())
    Session(app)
    assert store.counts == {}


def test_which_application_is_asked() -> None:
    """Inside of an application context it is that one, outside of any the only one; with several it must be said."""
    sessions, clock = Session(), FakeClock()
    one = make_app("one")
    sessions.init_app(one)
    assert sessions.of("ada") == []
    two = make_app("two")
    Session(two, clock=clock)
    with two.app_context():
        assert sessions.manager.clock is clock
    sessions.init_app(two)
    with pytest.raises(ConfigurationError, match=r"with app.app_context\(\)"):
        sessions.of("ada")
    with one.app_context():
        assert sessions.of("ada") == []


def test_an_application_without_holdfast() -> None:
    """In an application that was never given to an extension, the error says so."""
    sessions = Session()
    with pytest.raises(ConfigurationError, match=r"app"):
        sessions.of("ada")
    with Flask("bare").app_context(), pytest.raises(ConfigurationError, match=r"Session\(app\)"):
        sessions.of("ada")


class Basement(SecureCookieSessionInterface):
    """A session interface of another extension, or of the application."""

    def get_cookie_path(self, app: Flask) -> str:
        """Return a path of its own."""
        return "/basement"


def test_replacing_a_session_interface_is_a_warning() -> None:
    """An application that has a session interface of its own is warned that it has no effect any more."""
    app = make_app()
    app.session_interface = Basement()
    with pytest.warns(UserWarning, match="the session interface Basement of the application is replaced") as heard:
        Session(app)
    assert [warning.filename for warning in heard] == [__file__]


def test_an_interface_that_came_later() -> None:
    """Where another extension has replaced the session interface, the error says so and names its module."""
    app = make_app()
    sessions = Session(app)
    app.session_interface = Basement()
    with pytest.raises(ConfigurationError, match=f"session interface of {__name__}, set after Session"):
        sessions.of("ada")


# --- a user's sessions -----------------------------------------------------------------------------------------------


def test_listing_a_user_s_sessions(web: Web) -> None:
    """A user's sessions are listed by handle, the last used first, with their times."""
    other = web.app.test_client()
    web.do(lambda: session.bind("ada"), other)
    web.clock.advance(60)
    web.do(lambda: session.bind("ada"))
    web.do(lambda: session.bind("bob"), web.app.test_client())
    first, second = web.sessions.of("ada")
    assert first.handle == web.see(lambda: session.handle)
    assert second.handle == web.see(lambda: session.handle, other)
    assert first.created_at - second.created_at == 60_000
    assert first.idle_deadline == web.clock() + 31 * 24 * 3600 * 1000
    assert first.absolute_deadline == web.clock() + 400 * 24 * 3600 * 1000
    assert web.sessions.get(first.handle) == first


@pytest.mark.parametrize("handle", [None, "", "x", "ab" * 32, "AB" * 32, "../../etc/passwd", "a" * 64 + "\n"])
def test_a_handle_that_is_none(web: Web, handle: Any) -> None:
    """An unknown, invalid or missing handle, as of a form without the field, is absent, not an error."""
    assert web.sessions.get(handle) is None
    assert web.sessions.revoke(handle) == "absent"
    assert web.sessions.update(handle, dict.clear) is False


def test_listing_needs_an_index() -> None:
    """On a store that cannot find a user's sessions, listing and ending them is an error that names the store."""

    class Plain:
        """A store with the five methods alone."""

        def __init__(self) -> None:
            inner = MemoryStore()
            self.load, self.create, self.replace = inner.load, inner.create, inner.replace
            self.touch, self.delete = inner.touch, inner.delete

    web = Web(SESSION_STORE=Plain())
    web.do(lambda: session.bind("ada"))
    for call in (web.sessions.of, web.sessions.revoke_all):
        with pytest.raises(ConfigurationError, match="Plain keeps no index by owner"):
            call("ada")
    web.do(end)
    assert web.data() == {}


def test_purging(web: Web) -> None:
    """Expired records are removed on request, and counted."""
    for _ in range(3):
        web.put(web.app.test_client(), a=1)
    web.clock.advance(32 * 24 * 3600)
    web.put(a=1)
    assert web.sessions.purge() == 3
    assert web.sessions.purge() == 0
    assert web.records() == 1


# --- commands --------------------------------------------------------------------------------------------------------


def test_the_commands_are_listed_and_have_help() -> None:
    """``flask --help`` lists the group, and ``flask sessions --help`` each command with what it does."""
    app = make_app()
    Session(app)
    runner = app.test_cli_runner()
    assert "List, end and maintain the application's sessions." in runner.invoke(args=["--help"]).output
    listed = runner.invoke(args=["sessions", "--help"]).output
    for name in ("list", "show", "revoke", "stats", "purge", "init", "ddl", "copy", "new-key", "doctor"):
        assert re.search(rf"^  {name} +[A-Z]", listed, re.MULTILINE), name


def test_an_application_keeps_its_own_group() -> None:
    """An application's own ``flask sessions`` stays, and a warning says where the commands of Holdfast are."""
    app = make_app()

    @app.cli.group("sessions")
    def sessions() -> None:
        """Talks and workshops."""

    with pytest.warns(UserWarning, match="`flask holdfast-sessions`") as heard:
        Session(app)
    assert [warning.filename for warning in heard] == [__file__]
    runner = app.test_cli_runner()
    assert "Talks and workshops." in runner.invoke(args=["sessions", "--help"]).output
    assert runner.invoke(args=["holdfast-sessions", "stats"]).exit_code == 0


def test_a_second_extension_is_no_conflict() -> None:
    """An application that is given to an extension twice has the commands once, without a warning."""
    app = make_app()
    sessions = Session(app)
    sessions.init_app(app)
    assert [name for name in app.cli.commands if "sessions" in name] == ["sessions"]
