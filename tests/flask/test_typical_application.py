"""An application as people have them: Flask-Login, permanent sessions, static files, a health check, a slow view."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from support.web import Browser
from werkzeug.test import TestResponse

from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FakeClock

QUARTER = 900

FREE = ("/static/style.css", "/health")


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


class Site:
    """The application, with a browser in which Ada is signed in."""

    def __init__(self, folder: Path, **config: Any) -> None:
        (folder / "style.css").write_text("body {}")
        self.app = Flask("shop", static_folder=str(folder), static_url_path="/static")
        self.app.test_client_class = Browser
        self.clock = FakeClock()
        self.store = CountingStore(MemoryStore(clock=self.clock))
        self.app.config.update(SECRET_KEY="B7u-q2Xn_fLw90Rk made up", SESSION_STORE=self.store, SESSION_PERMANENT=True)
        self.app.config.update(config)
        Session(self.app, clock=self.clock)
        LoginManager(self.app).user_loader(User)
        self.app.add_url_rule("/health", "health", view_func=lambda: "well")
        self.app.add_url_rule("/sign-in", "sign_in", view_func=lambda: str(login_user(User("ada"))))
        self.app.add_url_rule("/members", view_func=login_required(self._members))
        self.app.add_url_rule("/remember", "remember", view_func=lambda: str(login_user(User("ada"), remember=True)))
        self.app.add_url_rule("/view", "view", view_func=self._view)
        self.found: list[object] = []
        self.browser = self.app.test_client()
        self.get("/sign-in")

    def _members(self) -> str:
        time.sleep(0.02)
        return f"{current_user.get_id()} {session.get('_user_id')}"

    def _view(self) -> str:
        self.found.append("_remember" in session)
        session["_remember"] = "set"
        self.found.append("_remember" in session)
        self.found.append(session.pop("_remember"))
        self.found.append("_remember" in session)
        return "done"

    def get(self, path: str, **headers: str) -> TestResponse:
        """Return the response to a request for *path*, of which only *headers* are known."""
        self.store.reset()
        response = self.browser.get(path, headers=headers)
        response.close()
        assert response.status_code == 200
        return response

    @property
    def calls(self) -> Mapping[str, int]:
        """The store calls of the last request."""
        return Counter(self.store.counts)


@pytest.fixture(params=[{}, {"SESSION_SEAL_KEYS": ["cEg0XzZyT2tYd2s3SjlNbVFvVGZCMnZZdWhhTG5kUkU"]}], ids=["", "sealed"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """Return the application, with its records as they are, and sealed."""
    return Site(tmp_path, **request.param)


@pytest.mark.parametrize("age", [0, QUARTER, 20 * 24 * 3600])
@pytest.mark.parametrize("path", FREE)
def test_what_needs_no_session_costs_nothing(site: Site, path: str, age: int) -> None:
    """A static file and a health check make no store call, and no header of theirs speaks of the session."""
    site.clock.advance(age)
    response = site.get(path)
    assert site.calls == {}
    assert not {"Set-Cookie", "Vary"} & {*response.headers.keys()}
    assert response.headers.get("Cache-Control", "no-cache") == "no-cache"  # Flask's own, of a static file


def test_a_view_is_one_call(site: Site) -> None:
    """However long it takes, a view that reads the session makes one store call, and no cookie is sent."""
    for _ in range(3):
        response = site.get("/members")
        assert response.text == "ada ada"
        assert site.calls == {"load": 1}
        assert "Set-Cookie" not in response.headers
        assert response.headers["Vary"] == "Cookie"


def test_the_cookie_is_sent_when_it_is_due(site: Site) -> None:
    """A page load a quarter of an hour later moves the session's life on, and its cookie's, with one more call."""
    site.clock.advance(QUARTER)
    response = site.get("/members")
    assert site.calls == {"load": 1, "replace": 1}
    assert "Set-Cookie" in response.headers
    site.get("/members")
    assert site.calls == {"load": 1}


def test_a_script_only_moves_the_session_on(site: Site) -> None:
    """A request of a script keeps the session alive, and gets no cookie before half of the cookie's life is over."""
    site.clock.advance(QUARTER)
    response = site.get("/members", **{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
    assert site.calls == {"load": 1, "touch": 1}
    assert "Set-Cookie" not in response.headers


def test_a_remembered_browser_is_as_free(tmp_path: Path) -> None:
    """With a remember-me cookie too, only what uses the session costs anything."""
    site = Site(tmp_path)
    site.browser = site.app.test_client()
    assert "remember_token" in str(site.get("/remember").headers.getlist("Set-Cookie"))
    for path in FREE:
        response = site.get(path)
        assert site.calls == {}
        assert not {"Set-Cookie", "Vary"} & {*response.headers.keys()}


def test_the_key_of_flask_login_is_an_ordinary_one_within_a_request(tmp_path: Path) -> None:
    """A request that sets it finds it, and one that used the session looks it up in the session."""
    site = Site(tmp_path)
    response = site.get("/view")
    assert site.found == [False, True, "set", False]
    assert response.headers["Vary"] == "Cookie"
