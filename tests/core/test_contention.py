"""A session that others keep changing: a request that waits its turn gets it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support.requests import Request

from holdfast.errors import SessionConflict
from holdfast.records.codec import MSGPACK
from holdfast.records.codec.formats import MsgpackCodec
from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.pop import pop_stored
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import PAUSE, Flow
from holdfast.sessions.policy import Policy
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


@pytest.mark.parametrize(("rotates", "waits"), [(False, 1), (True, 0)], ids=["save", "rotate"])
def test_a_write_by_others_during_every_wait_does_not_starve_a_save(rotates: bool, waits: int) -> None:
    """The record of a conflict is stale after the wait, so the session is loaded again before the next attempt.

    A rotation does not wait for saves.
    """
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
    assert carried_out(commit(manager.context, session.state, in_store), manager, others_write) == (3, waits)
    assert dict(session) == {"mine": 1, "theirs": 2 + waits}


def run(flow: Any, manager: Manager, before_write: Callable[[str], object]) -> None:
    """Carry *flow* out without its waits; *before_write* is called before each write to a session's record."""
    result = None
    with contextlib.suppress(StopIteration):
        while True:
            operation = flow.send(result)
            if operation.name in {"replace", "move"}:
                before_write(operation.name)
            result = None if operation.name == PAUSE else operation.run(manager.store)


@pytest.mark.parametrize("attempt", ["save", "pop", "renew"])
def test_a_request_gives_up_in_time(attempt: str) -> None:
    """While others keep changing the session, a request that asks for no login or logout tries for ten seconds."""
    clock = FakeClock()
    manager = Manager(MemoryStore(clock=clock), clock=clock, policy=Policy(renewal=1 if attempt == "renew" else None))
    first = Request(manager)
    first["mine"] = 0
    first.commit()
    token = first.token
    clock.advance_ms(2)

    tries: list[str] = []

    def others_write(name: str) -> None:
        tries.append(name)
        clock.advance(1)
        other = Request(Manager(manager.store, clock=clock), token)
        other.apply("theirs", lambda count: count + 1, default=0)
        other.commit()

    session = Request(manager, token)
    session["mine"] = 1
    if attempt == "pop":
        flow: Any = pop_stored(manager.context, session.state, "mine")
    else:
        flow = commit(manager.context, session.state, in_store)
    with pytest.raises(SessionConflict, match="kept changing"):
        run(flow, manager, others_write)
    assert len(tries) == 12  # ten seconds after the first was refused


def test_the_encodings_of_a_merge_are_kept() -> None:
    """However often others come first, a value that this request did not change is encoded in one merge only."""
    manager = Manager(MemoryStore())
    first = Request(manager)
    first.update({"big": [[1]] * 1000, "mine": 0})
    first.commit()
    token = first.token
    encoded: list[str] = []

    class Counting(MsgpackCodec):
        def dumps(self, data: Any) -> bytes:
            encoded.extend(name for name, value in data.items() if name == "" and type(value) is list)
            return super().dumps(data)

    assert isinstance(MSGPACK, MsgpackCodec)
    counting = Manager(manager.store, codec=Counting(MSGPACK.packer))
    session = Request(counting, token)
    session["mine"] = 1
    left = list(range(5))

    def others_write(_name: str) -> None:
        if left:
            other = Request(manager, token)
            other[f"theirs {left.pop()}"] = 1
            other.commit()

    run(commit(counting.context, session.state, in_store), manager, others_write)
    assert dict(Request(manager, token))["mine"] == 1
    assert len(dict(Request(manager, token))) == 7
    assert len(encoded) == 2
