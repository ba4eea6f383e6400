"""The record that ends all of a user's sessions, when it is not what it should be."""

from __future__ import annotations

from support.requests import Request

from holdfast.sessions.manager import Manager
from holdfast.sessions.state import CookieAction
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock


def test_a_damaged_cutoff_keeps_nobody_out() -> None:
    """A login goes through, and the next revocation writes a good one."""
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    manager = Manager(store, clock=clock)
    key = manager.keys.cutoff_key(manager.keys.owner_of("u"))
    store.create(key, b"\x03damaged", expires_at=clock() + 1000)
    login = Request(manager)
    login.bind("u")
    assert login.commit().cookie is CookieAction.SEND
    assert manager.revoke_all("u") == 1
    assert manager.of("u") == []
