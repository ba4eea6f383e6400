"""A session that others keep changing: a request that waits its turn gets it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.requests import Request

from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import PAUSE, Flow
from holdfast.sessions.state import Outcome
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock


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
    """The record of a conflict is stale after the wait, so the session is loaded again before the next attempt."""
    manager = Manager(MemoryStore(clock=(clock := FakeClock())), clock=clock)
    first = Request(manager)
    first["mine"] = 0
    first.commit()
    token = first.token

    def others_write() -> None:
        other = Request(manager, token)
        other.apply("theirs", lambda count: count + 1, default=0)
        other.commit()

    session = Request(manager, token)
    session.apply("mine", lambda count: count + 1)
    if rotates:
        session.rotate()
    assert carried_out(commit(manager.context, session.state, in_store), manager, others_write) == (3, 1)
    assert dict(session) == {"mine": 1, "theirs": 3}
