"""A session that others keep changing: whoever waits its turn gets it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.sessions.flows import commit
from holdfast.sessions.manager import Manager
from holdfast.sessions.mapping import Opened, Outcome, ServerSession
from holdfast.sessions.ops import PAUSE, Flow
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


def carried_out(flow: Flow[Outcome], manager: Manager, disturb: Callable[[], None]) -> tuple[int, int]:
    """Carry *flow* out, disturbed before its first two tries and in every wait; return how many of each there were."""
    tries, waits, result = 0, 0, None
    while True:
        try:
            operation = flow.send(result)
        except StopIteration:
            return tries, waits
        if operation.name == PAUSE:
            waits += 1
            disturb()
            result = None
            continue
        if operation.name in {"replace", "move"}:
            tries += 1
            if tries <= 2:
                disturb()
        result = operation.run(manager.store)


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
    assert carried_out(commit(manager.context, session), manager, others_write) == (3, 1)
    assert session.data == {"mine": 1, "theirs": 3}
