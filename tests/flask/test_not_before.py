"""One setting that ends every session that began before a moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from flask_login import LoginManager, UserMixin, current_user, login_user
from support.web import SECRET_KEY, Web, end

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.stores.memory import MemoryStore

NAME = "SESSION_NOT_BEFORE"


def moment(web: Web) -> str:
    """Return the time of *web*, as the setting takes it."""
    return datetime.fromtimestamp(web.clock() / 1000, timezone.utc).isoformat()


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


def user_id() -> str | None:
    """Return whom Flask-Login finds, as a view."""
    name: str | None = current_user.get_id()
    return name


def stored() -> Web:
    """Return an application with sessions in a store."""
    return Web()


def in_cookies() -> Web:
    """Return an application with sessions in the cookie, and revocations in a store."""
    return Web(SESSION_STORE="cookie://", setting="SESSION_REVOCATION_STORE")


@pytest.fixture(params=[stored, in_cookies])
def web(request: pytest.FixtureRequest) -> Web:
    """Return an application whose user is signed in."""
    make: Callable[[], Web] = request.param
    web = make()
    web.do(lambda: session.bind("ada"))
    web.put(cart=[1])
    return web


def test_all_that_began_before_is_over_at_once(web: Web) -> None:
    """The next request is anonymous, says why, and asks the store nothing more; what begins after it lives."""
    web.clock.advance(60)
    before = web.calls(web.data)
    web.app.config[NAME] = moment(web)
    web.heard.clear()
    calls = web.calls(web.data)
    assert web.data() == {}
    assert sum(calls.values()) <= sum(before.values())
    assert ("rejected", {"reason": "expired_absolute", "transport": "cookie"}) in web.heard
    [ended] = [details for name, details in web.heard if name == "ended"][:1]
    assert ended["reason"] == "expired"
    assert ended["owner"] is not None
    web.do(lambda: session.bind("ada"))
    web.put(cart=[2])
    assert web.data()["cart"] == [2]


@pytest.mark.parametrize("make", [stored, in_cookies, lambda: Web(setting="UNUSED", SESSION_STORE="cookie://")])
def test_a_remember_me_cookie_from_before_signs_nobody_in(make: Callable[[], Web]) -> None:
    """It is deleted, as after the end of all of its user's sessions; one from after the moment signs in."""
    web = make()
    LoginManager(web.app).user_loader(User)
    web.do(lambda: str(login_user(User("ada"), remember=True)))
    web.clock.advance(60)
    web.app.config[NAME] = moment(web)
    assert web.see(user_id) is None
    assert web.browser.get_cookie("remember_token") is None
    web.do(lambda: str(login_user(User("ada"), remember=True)))
    web.browser.delete_cookie("session")
    assert web.see(user_id) == "ada"


def test_what_is_over_is_not_listed(web: Web) -> None:
    """Lists and counts have the sessions that live."""
    if web.app.config["SESSION_STORE"] == "cookie://":
        pytest.skip("sessions in the cookie cannot be listed")
    assert len(web.sessions.of("ada")) == 1
    web.clock.advance(1)
    web.app.config[NAME] = moment(web)
    assert web.sessions.of("ada") == []


def test_a_restored_backup_revives_no_session(tmp_path: Path) -> None:
    """A session that was ended after the copy was made is live again in it, and over with the setting."""
    files = {name: tmp_path / f"{name}.db" for name in ("sessions", "copy")}
    web = Web(SESSION_STORE=f"sqlite:///{files['sessions']}")
    web.put(cart=[1])
    cookie = web.browser.get_cookie("session")
    assert cookie is not None
    web.sessions.manager.store.close()  # type: ignore[attr-defined]  # it has one
    shutil.copy(files["sessions"], files["copy"])
    web.do(end)
    web.sessions.manager.store.close()  # type: ignore[attr-defined]
    shutil.copy(files["copy"], files["sessions"])
    web.clock.advance(60)
    for setting, expected in ((None, {"cart": [1]}), (moment(web), {})):
        web.app.config[NAME] = setting
        web.browser.set_cookie("session", cookie.value)
        assert web.data() == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yesterday", "it must be a moment with its time zone"),
        (datetime(2026, 1, 1), "it must be a moment with its time zone"),  # noqa: DTZ001  # that is the mistake
        (1_700_000_000, "it must be a moment with its time zone"),
        ("2099-01-01T00:00:00Z", "in the future, and would end every new session too"),
    ],
)
def test_a_moment_that_cannot_be_meant(value: Any, message: str) -> None:
    """It is an error at start that names the setting and the value."""
    with pytest.raises(ConfigurationError, match=f"{NAME} is .*{message}"):
        Web(**{NAME: value}, SECRET_KEY=SECRET_KEY)


def test_a_moment_in_the_past_is_accepted() -> None:
    """As an aware datetime or as text."""
    values: tuple[Any, ...] = (datetime(2026, 1, 1, tzinfo=timezone.utc), "2026-01-01T00:00:00+01:00")
    for value in values:
        web = Web(lambda clock: MemoryStore(clock=clock), **{NAME: value})
        web.put(cart=[1])
        assert web.data() == {"cart": [1]}
