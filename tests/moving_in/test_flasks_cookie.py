"""Sessions in Flask's signed cookie are taken over at their first request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from markupsafe import Markup
from moving_in.conftest import cookie_of, with_cookie
from moving_in.old_application import application

from holdfast.clock import system_clock
from holdfast.flask import Session
from holdfast.sessions.manager import directory
from holdfast.testing import FakeClock

Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path, apps: list[Flask]) -> Make:
    """Return a function that makes the application on Flask's cookie, or on Holdfast after it."""

    def make(extend: Callable[[Flask], object] = Session, **config: Any) -> Flask:
        where = {"SESSION_STORE": "memory://", "SESSION_IMPORT": "flask", "INSTANCE_PATH": str(tmp_path)}
        apps.append(application(extend, {**where, **config}))
        return apps[-1]

    return make


@pytest.fixture
def value(make: Make) -> str:
    """The cookie of Ada, signed in with Flask's own sessions."""
    app = make(lambda app: app.add_url_rule("/put", "put", lambda: ""))
    browser = app.test_client()
    with browser.session_transaction() as session:
        session.update(_user_id="ada", _fresh=True, pair=(1, "two"), html=Markup("<b>"))
    return cookie_of(browser)


def test_the_user_stays_signed_in(make: Make, value: str) -> None:
    """The first request stores the session, with its values as they were, and replaces the cookie by a token."""
    app = make()
    browser = with_cookie(app, value)
    assert "('pair', 'tuple', (1, 'two'))" in browser.get("/values").text
    assert "('html', 'Markup', Markup('<b>'))" in with_cookie(app, value).get("/values").text
    assert len(cookie_of(browser)) == 43
    assert browser.get("/me").text == "ada"
    assert len(directory(app.extensions["holdfast"].manager).of("ada")) == 1


def test_a_copy_is_none_after_a_logout(make: Make, value: str) -> None:
    """After a logout the old cookie is no session, however its signature is spelled."""
    app = make()
    browser = with_cookie(app, value)
    browser.get("/logout")
    assert with_cookie(app, value).get("/me").text == "None"
    signature = value.rpartition(".")[2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(signature[-1])
    for other in {alphabet[at ^ bit] for bit in (1, 2, 3)}:
        assert with_cookie(app, value[:-1] + other).get("/me").text == "None"
    assert with_cookie(app, value + "=").get("/me").text == "None"


def test_fallback_keys_count_and_others_do_not(make: Make, value: str) -> None:
    """A signature by an old key counts, and one by another key does not."""
    app = make()
    key, app.config["SECRET_KEY"] = app.config["SECRET_KEY"], "the second key of the shop, 5Jx-3vBn"
    assert with_cookie(app, value).get("/me").text == "None"
    app.config["SECRET_KEY_FALLBACKS"] = [key]
    assert with_cookie(app, value).get("/me").text == "ada"


def test_a_cookie_that_is_too_old_is_none(make: Make, value: str) -> None:
    """A cookie that Flask would not accept any more is no session, before it was taken over and after."""
    clock = FakeClock(system_clock())
    app = make(lambda app: Session(app, clock=clock), PERMANENT_SESSION_LIFETIME=3600)
    clock.advance(3500)
    assert with_cookie(app, value).get("/me").text == "ada"
    clock.advance(3600)
    assert with_cookie(app, value).get("/me").text == "None"
    late = make(lambda app: Session(app, clock=clock), PERMANENT_SESSION_LIFETIME=3600)
    assert with_cookie(late, value).get("/me").text == "None"


def test_none_is_taken_over_that_may_be_from_before_a_moment(make: Make, value: str) -> None:
    """With ``SESSION_NOT_BEFORE`` nothing is: a signature says when it was made, and not when its session began."""
    assert with_cookie(make(SESSION_NOT_BEFORE="2026-01-01T00:00:00Z"), value).get("/me").text == "None"
    assert with_cookie(make(), value).get("/me").text == "ada"


def test_other_values_are_none(make: Make, value: str) -> None:
    """Values that are not Flask's cookie give an empty session, and no error."""
    app = make()
    for other in ("a.b.c", value[:20] + "A" + value[21:], value.rpartition(".")[0], "..", f"{value}.x", "é.é.é"):
        response = with_cookie(app, other).get("/me")
        assert (response.status_code, response.text) == (200, "None")
