"""Bugs that the tests in test_requirements_asvs_cookies.py catch."""

from __future__ import annotations

import base64
import logging
import random
import secrets
import time
from typing import Any

import pytest
from security import bugs
from support import seams

from holdfast.flask import session
from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies


def inherited_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker continues the generator that it inherited."""
    monkeypatch.setattr(secrets, "token_bytes", random.Random(1).randbytes)


def the_time_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token begins with the minute of its creation."""
    drawn = secrets.token_bytes
    monkeypatch.setattr(
        secrets, "token_bytes", lambda size: (int(time.time()) // 60).to_bytes(4, "big") + drawn(size - 4)
    )


def eight_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is four random bytes, repeated eight times."""
    drawn = secrets.token_bytes
    monkeypatch.setattr(secrets, "token_bytes", lambda size: drawn(4) * (size // 4))


def profile_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile has no effect."""
    seams.SETTINGS_OF_PROFILE.plant(monkeypatch, lambda config: {})


def readable_by_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie is not HttpOnly."""
    bugs.change_attributes(monkeypatch, httponly=False)


def data_in_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's data goes to the browser with the token."""
    send = seams.COOKIE_SEND.sound

    def send_more(self: Cookies, app: Any, request: Any, response: Any, token: str, **options: Any) -> None:
        data = base64.urlsafe_b64encode(repr(dict(session)).encode()).decode()
        send(self, app, request, response, token + data, **options)

    seams.COOKIE_SEND.plant(monkeypatch, send_more)


def logs_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A presented token is logged, for debugging."""
    read = seams.COOKIE_READ.sound

    def tell(self: Cookies, app: Any, request: Any) -> Any:
        found = read(self, app, request)
        logging.getLogger("holdfast").debug("presented: %s", found.token)
        return found

    seams.COOKIE_READ.plant(monkeypatch, tell)


def body_over_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the form takes precedence over the cookie."""
    read = seams.COOKIE_READ.sound

    def lenient(self: Cookies, app: Any, request: Any) -> Presented:
        value = request.form.get(app.config["SESSION_COOKIE_NAME"])
        return Presented(value) if value else read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, lenient)
