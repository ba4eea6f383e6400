"""An application whose records are sealed: sessions work as usual, and the store reveals no data."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.web import Web, end, rotate

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.records.encryption import SealMode, new_key

HOW: list[SealMode] = ["keys", "cookie", "mac"]
KEY = new_key()


def sealed(how: SealMode | None, *keys: Any, web: Web | None = None, **config: Any) -> Web:
    """Return an application that seals, on the store of another if one is given."""
    inner = (lambda clock: web.memory) if web else None
    return Web(inner, SESSION_SEAL=how, SESSION_SEAL_KEYS=list(keys or (KEY,)), **config)


def meet(web: Web, token: str | None) -> dict[str, Any]:
    """Return the session that *token* opens in *web*."""
    return web.data(web.with_token(token))


@pytest.mark.parametrize("how", HOW)
def test_a_session_lives_as_ever(how: SealMode) -> None:
    """Saves, a login, a renewal with its alias, two requests at once, a list and a logout."""
    web = sealed(how, SESSION_RENEWAL_INTERVAL=60)
    web.put(cart=["a"])
    web.do(lambda: session["cart"].append("b"))
    assert web.data() == {"cart": ["a", "b"]}
    web.do(lambda: session.bind("ada"))
    other = web.twin()

    def overtaken() -> None:
        session.get("cart")
        web.put(other, theirs=1)
        session["mine"] = 2

    web.do(overtaken)
    assert web.data() == {"cart": ["a", "b"], "theirs": 1, "mine": 2}
    late = web.twin()
    web.clock.advance(61)
    before = web.token()
    assert web.data()["mine"] == 2
    assert web.token() != before
    assert web.data(late)["mine"] == 2
    with web.app.app_context():
        (info,) = web.sessions.of("ada")
        assert web.sessions.get(info.handle) == info
        assert web.sessions.revoke(info.handle) == "confirmed"
    assert web.data() == {}
    web.put(a=1)
    web.do(end)
    assert web.data() == {}


@pytest.mark.parametrize("how", HOW)
def test_records_are_sealed_anew_with_the_newest_key(how: SealMode) -> None:
    """A session of the old key lives on; its next save is sealed with the new one, which then does alone."""
    old, new = new_key(), secrets.token_bytes(32)
    first = sealed(how, old)
    first.put(a=1)
    token = first.token()
    both = sealed(how, new, old, web=first)
    assert meet(both, token) == {"a": 1}
    both.do(lambda: session.update(b=2), both.with_token(token))
    assert meet(sealed(how, new, web=first), token) == {"a": 1, "b": 2}
    retired = sealed(how, old, web=first)
    assert meet(retired, token) == {}
    assert retired.reasons() == ["unknown_key"]
    assert meet(both, token) == {"a": 1, "b": 2}


@pytest.mark.parametrize("how", HOW)
def test_an_unsealed_record_is_read_in_the_window_only(how: SealMode) -> None:
    """Sessions from before sealing are strangers, unless there is a window, which seals what is saved in it."""
    plain = Web()
    plain.put(a=1)
    token = plain.token()
    strict = sealed(how, web=plain)
    assert meet(strict, token) == {}
    assert strict.reasons() == ["unknown_key"]
    until = datetime.fromtimestamp(plain.clock() / 1000, timezone.utc) + timedelta(days=1)
    moving = sealed(how, web=plain, SESSION_SEAL_MIGRATE_UNTIL=until)
    assert meet(moving, token) == {"a": 1}
    moving.do(lambda: session.update(b=2), moving.with_token(token))
    assert meet(strict, token) == {"a": 1, "b": 2}
    assert meet(plain, token) == {}
    assert plain.reasons() == ["unknown_key"]


def test_every_store_call_is_as_without() -> None:
    """Sealing costs no trip."""
    web = sealed("cookie")
    assert web.calls(lambda: session.update(a=1)) == {"create": 1}
    assert web.calls(lambda: session.get("a")) == {"load": 1}
    assert web.calls(lambda: session.update(a=2)) == {"load": 1, "replace": 1}
    assert web.calls(rotate) == {"load": 1, "move": 1}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"SESSION_SEAL": "keys"}, "SESSION_SEAL_KEYS"),
        ({"SESSION_SEAL": "aes", "SESSION_SEAL_KEYS": [KEY]}, "'aes'"),
        ({"SESSION_SEAL_KEYS": ["short"]}, "python -m holdfast new-key"),
        ({"SESSION_SEAL_KEYS": {KEY}}, "set"),
        ({"SESSION_SEAL_KEYS": []}, "is empty and would seal nothing"),
        ({"SESSION_SEAL_MIGRATE_UNTIL": "2027-01-31T00:00:00Z"}, "SESSION_SEAL_KEYS"),
        ({"SESSION_SEAL_KEYS": [KEY], "SESSION_SEAL_MIGRATE_UNTIL": "2027-01-31"}, "time zone"),
        ({"SESSION_SEAL_KEYS": [KEY], "SESSION_SEAL_MIGRATE_UNTIL": "soon"}, "'soon'"),
        ({"SESSION_SEAL_KEYS": [KEY], "SESSION_SEAL_MIGRATE_UNTIL": 5}, "5"),
    ],
)
def test_settings_that_seal_nothing_are_refused(config: dict[str, Any], says: str) -> None:
    """The message names the setting and the fix, and never a key."""
    with pytest.raises(ConfigurationError) as caught:
        Web(**config)
    assert says in str(caught.value)
    assert "SESSION_SEAL" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", [b"a" * 32, b"ab" * 16, b"abcdefgh" * 4, bytes(range(32)), "YWFh" * 10 + "YWE"])
@pytest.mark.parametrize("place", [{}, {"SESSION_STORE": "cookie://"}])
def test_a_seal_key_of_a_pattern_is_refused(key: Any, place: dict[str, Any]) -> None:
    """A key that can be guessed does not start the application, neither as the newest nor as an older one."""
    for keys in ([key], [KEY, key]):
        with pytest.raises(ConfigurationError, match="cannot be used: a seal key can be guessed") as caught:
            Web(setting="SESSION_STORE" if not place else "A_STORE_THAT_IS_NOT_USED", SESSION_SEAL_KEYS=keys, **place)
        assert "aaa" not in str(caught.value)


def test_a_window_ends_with_the_absolute_lifetime(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever date is set, and each start of the application warns of it, until it is over."""
    plain = Web(SESSION_ABSOLUTE_LIFETIME=3600)
    until = "9999-01-01T00:00:00Z"
    moving = sealed("keys", web=plain, SESSION_SEAL_MIGRATE_UNTIL=until, SESSION_ABSOLUTE_LIFETIME=3600)
    assert "SESSION_SEAL_MIGRATE_UNTIL is ahead" in caplog.text
    for late in (3599, 3601):
        moving.clock.advance(late - (moving.clock() - plain.clock()) / 1000)
        forger = Web(lambda _: plain.memory, SESSION_ABSOLUTE_LIFETIME=3600)
        forger.clock.advance_ms(moving.clock() - forger.clock())
        forger.put(user="admin")
        assert meet(moving, forger.token()) == ({"user": "admin"} if late < 3600 else {})
    caplog.clear()
    sealed("keys", SESSION_SEAL_MIGRATE_UNTIL="2020-01-01T00:00:00Z")
    assert "MIGRATE" not in caplog.text
