"""Bugs that the tests in test_caching.py catch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, g, request
from support import seams
from support.web import cookies_set

from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.session import FlaskSession


def counts_only_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """`in` and `len` on a session do not count as reading it."""
    vary = seams.VARY_BY_COOKIE.sound
    seams.VARY_BY_COOKIE.plant(
        monkeypatch, lambda response, *names: vary(response, *names) if "was_read" in g else None
    )
    for seam in seams.FLASK_SESSION_READS:
        seam.plant(monkeypatch, _counted(seam.sound))


def _counted(method: Callable[..., Any]) -> Callable[..., Any]:
    def counted(self: FlaskSession, *arguments: Any) -> Any:
        g.was_read = True
        return method(self, *arguments)

    return counted


def varies_when_it_sets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a response that sets the cookie has `Vary: Cookie`."""
    sound = seams.INTERFACE_SAVE_SESSION.sound

    def save_session(self: HoldfastInterface, app: Flask, session: Any, response: Response) -> None:
        before = response.headers.getlist("Vary")
        sound(self, app, session, response)
        if not cookies_set(response):
            response.headers.setlist("Vary", before)

    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, save_session)


def sets_cookies_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permanent session's cookie is sent again on each response, also on one without `Vary`."""
    sound = seams.INTERFACE_SAVE_SESSION.sound

    def save_session(self: HoldfastInterface, app: Flask, session: Any, response: Response) -> None:
        sound(self, app, session, response)
        value = request.cookies.get("session")
        if value and app.config["SESSION_PERMANENT"] and not session.accessed:
            response.set_cookie("session", value)

    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, save_session)


def adds_private_to_nothing_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that sets the cookie stays public if the application made it public."""

    def keep_private(response: Response) -> None:
        response.headers.setdefault("Cache-Control", "private")

    seams.KEEP_PRIVATE.plant(monkeypatch, keep_private)


def writes_vary_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's Vary is replaced."""

    def vary_by(response: Response, *headers: str) -> None:
        response.headers["Vary"] = "Cookie"

    seams.VARY_BY_COOKIE.plant(monkeypatch, vary_by)


def reads_one_vary_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first of several Vary headers is kept."""

    def vary_by(response: Response, *headers: str) -> None:
        response.vary.add("Cookie")

    seams.VARY_BY_COOKIE.plant(monkeypatch, vary_by)


def looks_at_views_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is first read while the response is streamed does not change its headers."""
    seams.MAY_STILL_READ.plant(monkeypatch, lambda response: False)


def does_not_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that read the session is public for caches."""
    seams.VARY_BY_COOKIE.plant(monkeypatch, lambda response, *headers: None)
