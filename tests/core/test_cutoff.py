"""The record that ends all of a user's sessions, when it is not what it should be."""

from __future__ import annotations

from holdfast.sessions.manager import Manager
from holdfast.sessions.mapping import Opened, ServerSession
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock


class Request(ServerSession):
    """A session without a front end."""

    def load(self) -> Opened:
        """Begin with nothing."""
        return Opened()


def test_a_damaged_cutoff_keeps_nobody_out() -> None:
    """A login goes through, and the next revocation writes a good one."""
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    manager = Manager(store, clock=clock)
    key = manager.keys.cutoff_key(manager.keys.owner_of("u"))
    store.create(key, b"\x03damaged", expires_at=clock() + 1000)
    login = Request(keys=manager.keys, started_at=clock())
    login.bind("u")
    assert manager.commit(login).cookie == "send"
    assert manager.revoke_all("u") == 1
    assert manager.of("u") == []
