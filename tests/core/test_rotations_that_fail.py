"""A rotation that does not go through, or whose answer is lost: one token works, or none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from support.requests import Request

from holdfast.errors import StoreUnavailable
from holdfast.sessions.flows.revoke import write_cutoff
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import drive
from holdfast.sessions.policy import Policy
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock
from holdfast.testing.wrappers import CountingStore, FailingStore, StoreWrapper


class Steps(MemoryStore):
    """A store that moves a record in steps."""

    move = None  # type: ignore[assignment]


class Scripted(StoreWrapper):
    """A store where something happens instead of each call of *operation*: it gets the call."""

    operation = ""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.script: Callable[[Callable[[], Any]], Any] = lambda call: call()

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Follow the script for the operation, and make every other call."""
        if operation != self.operation:
            return call()
        self.operation, before = "", operation
        try:
            return self.script(call)
        finally:
            self.operation = before


def begin(manager: Manager) -> str:
    """Return the token of a session of Ada's."""
    first = Request(manager)
    first["a"] = 1
    first.bind("ada")
    first.commit()
    return first.token


def live(manager: Manager) -> int:
    """Return how many sessions Ada has."""
    return len(manager.of("ada"))


@pytest.mark.parametrize("kind", [MemoryStore, Steps])
@pytest.mark.parametrize("ended", [False, True], ids=["an outage", "an end during an outage"])
def test_an_outage_of_a_rotation_leaves_no_second_session(kind: Any, *, ended: bool) -> None:
    """The write of the tombstone fails each time: the old token works as before, or the session is over."""
    inner = kind()
    store = Scripted(inner)
    manager, sound = Manager(store), Manager(inner)
    token = begin(sound)
    handle = str(Request(sound, token).handle)

    def fail(_: Callable[[], Any]) -> Any:
        if ended:
            sound.revoke(handle)
        raise StoreUnavailable("unplugged")

    store.operation, store.script = ("move" if kind is MemoryStore else "replace"), fail
    moving = Request(manager, token)
    moving["b"] = 2
    moving.rotate()
    if ended:
        moving.commit()
    else:
        with pytest.raises(StoreUnavailable):
            moving.commit()
    assert live(sound) == (0 if ended else 1)
    assert sound.still_valid(token) is not ended


@pytest.mark.parametrize("kind", [MemoryStore, Steps])
@pytest.mark.parametrize("ended", [False, True], ids=["contested", "ended in the end"])
def test_a_rotation_that_others_contest_to_the_end(kind: Any, *, ended: bool) -> None:
    """The session is deleted and begins anew, unless another request ended it first; the old token is superseded."""
    inner = kind()
    store = Scripted(inner)
    manager, sound = Manager(store, policy=Policy(attempts=2)), Manager(inner)
    token = begin(sound)
    handle = str(Request(sound, token).handle)
    changes = iter(range(100))

    def contest(call: Callable[[], Any]) -> Any:
        other = Request(sound, token)
        other["n"] = next(changes)
        other.commit()
        return call()

    def end_first(call: Callable[[], Any]) -> Any:
        sound.revoke(handle)
        return call()

    store.operation, store.script = ("move" if kind is MemoryStore else "replace"), contest
    moving = Request(manager, token)
    moving["b"] = 2
    moving.rotate()
    if ended:
        around = store.around

        def both(operation: str, call: Callable[[], Any]) -> Any:
            return end_first(call) if operation == "delete" and next(changes) > 1 else around(operation, call)

        store.around = both  # type: ignore[method-assign]
    moving.commit()
    assert live(sound) == (0 if ended else 1)
    assert not sound.still_valid(token)
    if not ended:
        late = Request(sound, token)
        assert "a" not in late
        assert late.read_only
        assert Request(sound, moving.token)["b"] == 2


@pytest.mark.parametrize("value", ["", "short", "A" * 42, "A" * 44, "A" * 42 + "B", "../" * 14 + "A", "A" * 42 + "\n"])
def test_a_value_that_is_no_token_is_not_looked_up(value: str) -> None:
    """It costs no store call, and is not hashed into a key."""
    store = CountingStore(MemoryStore())
    state = Request(Manager(store), value)
    assert dict(state) == {}
    assert not store.counts


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_login_that_was_not_finished_is_judged_at_its_next_request(*, cut_off: bool) -> None:
    """A cut-off was written between its move and its look-up, which failed: its token opens nothing."""
    clock = FakeClock()
    inner = MemoryStore(clock=clock)
    store = FailingStore(inner)
    scripted = Scripted(store)
    manager, sound = Manager(scripted, clock=clock), Manager(inner, clock=clock)
    login = Request(manager, begin(sound))
    login["b"] = 2
    login.bind("ada")

    def move(call: Callable[[], Any]) -> Any:
        answer = call()
        if cut_off:
            drive(write_cutoff(sound.context, sound.keys.owner_of("ada"), []), inner)
        store.fail("load", times=math.inf)
        return answer

    scripted.operation, scripted.script = "move", move
    with pytest.raises(StoreUnavailable):
        login.commit()
    assert login.state.owed
    assert dict(Request(sound, login.token)) == ({} if cut_off else {"a": 1, "b": 2})
