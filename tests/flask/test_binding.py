"""Whose session it is: bound by a login, unbound by a logout, and found again whatever happens to the keys."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask_login import LoginManager, UserMixin, login_user, logout_user, user_logged_in, user_logged_out
from support.web import Web

from holdfast.flask import session
from holdfast.records.encryption import new_key

USER = "ada.lovelace@example.org"


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def shop() -> Web:
    """Return an application with Flask-Login."""
    web = Web()
    LoginManager(web.app).user_loader(User)
    return web


def records(web: Web) -> list[Any]:
    """Return all records."""
    return [record for _, record in web.memory.scan(limit=100).items]


def test_what_listens_to_a_login_sees_whose_session_it_is(shop: Web) -> None:
    """Receivers of Flask-Login's signals find the session bound after a login, and unbound after a logout."""
    seen: list[str | None] = []

    def receive(*_: object, **__: object) -> None:
        seen.append(session.owner)

    with user_logged_in.connected_to(receive, shop.app), user_logged_out.connected_to(receive, shop.app):
        shop.do(lambda: str(login_user(User("ada"))))
        shop.do(logout_user)
    assert seen == [shop.sessions.manager.keys.owner_of("ada"), None]


def test_a_logout_takes_the_session_off_the_list(shop: Web) -> None:
    """`logout_user` unbinds a session that continues, and emits that it ended for the user."""
    shop.put(cart=[1])
    shop.do(lambda: str(login_user(User("ada"))))
    assert len(shop.sessions.of("ada")) == 1
    shop.take_heard()
    shop.do(logout_user)
    assert shop.sessions.of("ada") == []
    assert shop.reasons("ended") == ["logout"]
    assert [record.owner for record in records(shop) if record.owner] == []


def test_an_id_may_be_text_or_a_number(web: Web) -> None:
    """A user id is taken as its text, as Flask-Login keeps it."""
    web.do(lambda: session.bind(42))
    assert [entry.owner for entry in web.sessions.of("42")] == [entry.owner for entry in web.sessions.of(42)]
    assert len(web.sessions.of(42)) == 1


def test_the_store_does_not_learn_the_user_id(web: Web) -> None:
    """The store's part of a bound session holds the id neither in clear nor as its plain hash."""
    web.do(lambda: session.bind(USER))
    (record,) = records(web)
    assert USER.encode() not in record.data
    assert USER not in record.owner
    assert record.owner != hashlib.sha256(USER.encode()).hexdigest()


def test_an_owner_key_is_needed_to_tell_whose_session_it_is() -> None:
    """With ``SESSION_OWNER_KEY``, only a holder of the key can find a user's sessions by the user id."""
    web = Web(SESSION_OWNER_KEY=new_key())
    web.do(lambda: session.bind(USER))
    assert len(web.sessions.of(USER)) == 1
    stranger = Web(SESSION_STORE=web.store)
    stranger.clock = web.clock
    assert stranger.sessions.of(USER) == []


@pytest.mark.parametrize("signed", [True, False])
def test_a_new_secret_key_does_not_lose_the_index(signed: bool) -> None:
    """After `SECRET_KEY` is replaced, a user's sessions are listed and ended as before."""
    web = Web(SECRET_KEY="the-first-of-two-7c1f0e5b9a2d4863af10", SESSION_USE_SIGNER=signed)
    web.do(lambda: session.bind("ada"))
    (before,) = web.sessions.of("ada")
    web.app.config.update(
        SECRET_KEY="the-second-of-two-d1b0a7e34f5c9826be71",
        SECRET_KEY_FALLBACKS=["the-first-of-two-7c1f0e5b9a2d4863af10"],
    )
    assert web.see(lambda: session.owner) == before.owner
    assert [found.handle for found in web.sessions.of("ada")] == [before.handle]
    web.app.config["SECRET_KEY_FALLBACKS"] = []
    assert [found.handle for found in web.sessions.of("ada")] == [before.handle]
    assert web.sessions.revoke_all("ada") == 1
    assert web.see(lambda: session.owner) is None


# --- Flask-Security --------------------------------------------------------------------------------------------------
