"""Tombstones and cut-offs that somebody with access to the store has planted: bounded in steps and in time."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import Web, cookies_set

from holdfast.errors import DecodeError, StoreUnavailable
from holdfast.flask import session
from holdfast.records.encryption import Sealer, new_key
from holdfast.records.envelope import Cutoff, Envelope, Sealed, Tombstone, TombstoneKind, decode, encode

FOR_EVER = 2**62


@pytest.fixture
def web() -> Web:
    """Return an application with one stored session."""
    web = Web()
    web.put(a=1)
    return web


def plant(web: Web, key: str, body: Any, *, seconds: int = 3600) -> None:
    """Store *body* under *key*, whatever is there."""
    web.memory.delete(key)
    web.memory.create(key, encode(body), expires_at=web.clock() + seconds * 1000)


@pytest.mark.parametrize("length", [1, 2, 300])
def test_a_trail_of_tombstones_ends(web: Web, length: int) -> None:
    """A tombstone that leads to itself, a circle of them, and an endless trail end every search along them."""
    keys = [f"{number:064x}" for number in range(length)]
    for number, key in enumerate(keys):
        successor = keys[(number + 1) % length]
        plant(web, key, Tombstone(TombstoneKind.SUPERSEDED, web.clock() + 30_000, successor))
    web.store.reset()
    assert web.sessions.revoke(keys[0]) == "absent"
    assert sum(web.store.counts.values()) < 250
    web.sessions.revoke_everyone()


def test_a_tombstone_for_ever_keeps_no_browser_out(web: Web) -> None:
    """A grace period that is longer than the setting allows is none."""
    key = web.see(lambda: session.handle)
    plant(web, key, Tombstone(TombstoneKind.SUPERSEDED, FOR_EVER))
    assert cookies_set(web.put(b=2))


def test_a_cutoff_in_the_future_keeps_no_user_out(web: Web) -> None:
    """A cut-off ahead of any clock does not refuse the user's logins."""
    owner = web.sessions.manager.keys.owner_of("ada")
    plant(web, web.sessions.manager.keys.cutoff_key(owner), Cutoff(FOR_EVER))
    assert cookies_set(web.do(lambda: session.bind("ada")))
    assert len(web.sessions.of("ada")) == 1


@pytest.mark.parametrize("how", ["keys", "cookie", "mac"])
def test_nobody_and_an_owner_of_no_letters_are_not_alike(how: Any) -> None:
    """A visitor's sealed record does not open as that of the owner with the empty name."""
    sealer = Sealer(how, [new_key()])
    envelope = Envelope(1, 1, 1, b"\x80")
    sealed = decode(sealer.seal(envelope, token="t", key="ab", owner=None))
    assert isinstance(sealed, Sealed)
    with pytest.raises(DecodeError):
        sealer.open(sealed, token="t", key="ab", owner="")


def test_no_frame_of_a_failure_shows_data_by_a_repr() -> None:
    """What an error reporter prints of the objects in the frames of a failure holds neither the token nor the data."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    shown: list[str] = []

    @web.app.errorhandler(StoreUnavailable)
    def report(error: Exception) -> tuple[str, int]:
        trace = error.__traceback__
        while trace is not None:
            names = trace.tb_frame.f_locals.items()
            shown.extend(repr(value) for _, value in names if type(value).__module__.startswith("holdfast"))
            trace = trace.tb_next
        return "failed", 503

    web.put(secret="canary-7Qx")
    token = web.token()
    web.failing.fail("replace", "load", times=float("inf"))
    for view in (lambda: session.update(b=2), lambda: session.bind("ada"), lambda: session["a"]):
        assert web.do(view).status_code == 503
    assert shown
    assert token
    assert not [text for text in shown if token in text or "canary" in text]
