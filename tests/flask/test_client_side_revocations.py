"""Revocations of sessions in the cookie: kept for as long as a copy of the cookie can be used, and not much longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from support.web import Web, end, rotate

from holdfast.clock import DAY, MINUTE
from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.records.encryption import new_key

IDLE = 30 * MINUTE


def revoking(**config: Any) -> Web:
    """Return an application with a store for revocations and an idle timeout of half an hour."""
    return Web(
        setting="SESSION_REVOCATION_STORE",
        SESSION_STORE="cookie://",
        SESSION_SEAL_KEYS=[new_key()],
        PERMANENT_SESSION_LIFETIME=IDLE / 1000,
        **config,
    )


def by_handle(web: Web) -> None:
    """End the session by its handle."""
    web.sessions.revoke(web.see(lambda: session.handle))


def by_user(web: Web) -> None:
    """End all of the user's sessions."""
    ended = web.sessions.revoke_all("ada")
    assert (ended, ended.outcome) == (0, "confirmed")  # their number is unknown


WAYS: list[Callable[[Web], object]] = [lambda web: web.do(end), lambda web: web.do(rotate), by_handle, by_user]


@pytest.mark.parametrize("way", WAYS)
def test_a_revocation_goes_with_the_last_copy_of_the_cookie(way: Callable[[Web], object]) -> None:
    """It is in the store while an unused copy would live, and a day later it is not."""
    web = revoking()
    web.do(lambda: session.bind("ada"))
    copy, began = web.token(), web.clock()
    web.clock.advance_ms(MINUTE)
    way(web)
    for at in (MINUTE, IDLE // 2, IDLE - 1, IDLE, IDLE + MINUTE, DAY):
        web.clock.advance_ms(began + at - web.clock())
        assert web.data(web.with_token(copy)) == {}
        assert web.records() > 0
    web.clock.advance_ms(IDLE + MINUTE + 1)
    # An end by the handle does not know the session's own lifetime, and a cut-off serves remember-me cookies, too.
    assert web.records() == (way in {by_handle, by_user})
    assert web.data(web.with_token(copy)) == {}


def test_a_revocation_covers_a_cookie_that_is_sent_after_it() -> None:
    """A request that found the session alive, and answers after a logout, does not make a copy that outlives it."""
    web = revoking()
    web.do(lambda: session.update(a=1, u="ada"))
    web.clock.advance_ms(10 * MINUTE)
    other = web.twin()

    def late() -> None:
        session["b"] = 2
        web.do(end)

    web.do(late, other)
    copy = web.token(other)
    for _ in range(40):
        web.clock.advance_ms(MINUTE)
        assert web.data(web.with_token(copy)) == {}


def test_the_absolute_timeout_ends_a_revocation_too() -> None:
    """Nothing is kept longer than the session could have lived, and a day."""
    web = revoking(SESSION_ABSOLUTE_LIFETIME=MINUTE / 1000)
    web.do(lambda: session.bind("ada"))
    web.do(end)
    web.clock.advance_ms(MINUTE + DAY)
    assert web.records() == 0


def test_a_cache_is_no_store_of_revocations() -> None:
    """Memcached drops records when its memory is full: an ended session would work again. It is refused at start-up."""
    app = Flask("shop")
    app.config.update(SESSION_STORE="cookie://", SESSION_SEAL_KEYS=[new_key()])
    app.config["SESSION_REVOCATION_STORE"] = "memcached://127.0.0.1:1"
    with pytest.raises(ConfigurationError, match=r"SESSION_REVOCATION_STORE: MemcachedStore drops .* choose another"):
        Session(app)


def test_an_end_of_all_covers_its_own_moment() -> None:
    """A session that began in the same millisecond is over."""
    web = revoking()
    web.do(lambda: session.bind("ada"))
    web.sessions.revoke_all("ada")
    assert web.see(lambda: session.owner) is None


def test_a_logout_with_the_renewed_token_ends_the_new_one() -> None:
    """A request that still has the old token, in the grace period after the new one was used, logs the browser out."""
    web = revoking(SESSION_RENEWAL_INTERVAL=60)
    web.do(lambda: session.bind("ada"))
    old = web.token()
    web.clock.advance(61)
    assert web.see(lambda: session.owner)
    assert web.see(lambda: session.owner)
    assert web.token() != old
    web.do(end, web.with_token(old))
    assert web.see(lambda: session.owner) is None
