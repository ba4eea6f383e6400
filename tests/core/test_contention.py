"""A session that others keep changing: whoever waits its turn gets it."""

from __future__ import annotations

import pytest

from holdfast.flows import commit
from holdfast.manager import Manager
from holdfast.operations import Move, Pause, Replace
from holdfast.session import Opened, ServerSession
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock


class Request(ServerSession):
    """One request's session, under a token that is given."""

    def __init__(self, manager: Manager, token: str | None) -> None:
        super().__init__(keys=manager.keys, started_at=manager.clock())
        self._manager = manager
        self._token = token

    def load(self) -> Opened:
        """Look the token up."""
        return self._manager.open(self._token)


@pytest.mark.parametrize("rotates", [False, True], ids=["save", "rotate"])
def test_a_write_by_others_during_every_wait_does_not_starve_a_save(rotates: bool) -> None:
    """What a conflict brought along is stale after the wait, so the session is looked up again before the next try."""
    manager = Manager(MemoryStore(clock=(clock := FakeClock())), clock=clock)
    first = Request(manager, None)
    first["mine"] = 0
    manager.commit(first)
    assert first.loaded is not None
    token = first.loaded.token

    def others_write() -> None:
        other = Request(manager, token)
        other.apply("theirs", lambda count: count + 1, default=0)
        manager.commit(other)

    session = Request(manager, token)
    session.apply("mine", lambda count: count + 1)
    if rotates:
        session.rotate()
    flow, tries, waits = commit(manager.context, session), 0, 0
    operation = next(flow)
    with pytest.raises(StopIteration):
        while True:
            if isinstance(operation, Pause):
                waits += 1
                others_write()
                operation = flow.send(None)
                continue
            if isinstance(operation, Replace | Move):
                tries += 1
                if tries <= 2:
                    others_write()
            operation = flow.send(operation.run(manager.store))
    assert (tries, waits) == (3, 1)
    assert session.data == {"mine": 1, "theirs": 3}
