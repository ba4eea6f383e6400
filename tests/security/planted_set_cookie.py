"""Bugs that the tests in test_set_cookie.py catch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response
from security import bugs
from support import seams

from holdfast.flask.cookies import Cookies
from holdfast.flask.interface import HoldfastInterface


def only_line_breaks_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only carriage returns and line feeds are refused in the settings of the cookie."""
    bugs.read_cookie_settings_raw(monkeypatch, refused="\r\n")


def streams_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that is streamed, or is a file, is sent before the session is saved."""
    save = seams.INTERFACE_SAVE_SESSION.sound

    def save_unless_streamed(self: HoldfastInterface, app: Flask, session: Any, response: Response) -> None:
        if not (response.is_streamed or response.direct_passthrough):
            save(self, app, session, response)

    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, save_unless_streamed)


def replaces_other_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's cookie replaces those that the application sets."""
    send = seams.COOKIE_SEND.sound

    def send_alone(self: Cookies, app: Flask, request: Any, response: Response, token: str, **named: Any) -> None:
        response.headers.remove("Set-Cookie")
        send(self, app, request, response, token, **named)

    seams.COOKIE_SEND.plant(monkeypatch, send_alone)


def rewrites_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's Vary is overwritten."""
    save = seams.INTERFACE_SAVE_SESSION.sound

    def save_and_rewrite(self: HoldfastInterface, app: Flask, session: Any, response: Response) -> None:
        save(self, app, session, response)
        response.headers["Vary"] = "Cookie"

    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, save_and_rewrite)


def forgets(attribute: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Return a bug: the cookie is set without *attribute*."""

    def mutant(monkeypatch: pytest.MonkeyPatch) -> None:
        bugs.change_attributes(monkeypatch, **{attribute: None})

    mutant.__name__ = f"forgets_{attribute}"
    mutant.__doc__ = f"The cookie is set without {attribute}, with any setting."
    return mutant


def lifetimes_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifetime counts as a number of seconds without a check."""
    bugs.parse_spans_by(monkeypatch, lambda value, _: value and int(_seconds(value) * 1000))


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def lifetimes_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lifetime of the cookie is computed without a limit, beyond the range of dates."""
    seams.COOKIE_LONGEST_LIFE.plant(monkeypatch, 10**18)
