"""Exactly one request gets a single-use value, in every order of the store calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from explorer import roles as r
from explorer.schedules import Actor
from explorer.search import Violation, explore
from explorer.stores import BACKENDS, Atomic
from explorer.world import Role, World, face_of
from support import seams
from support.seams import Seam

from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.open import open_session
from holdfast.sessions.flows.pop import consume_authentication, pop_stored
from holdfast.sessions.ops import Flow
from holdfast.sessions.state import SessionState

#: The key in the session ``here`` that is to be taken out.
KEY = "last"

#: Removes a value from a session at once, and returns whether this request did it.
Taker = Callable[[Any, SessionState], Flow[bool]]


def _pop(context: Any, state: SessionState) -> Flow[bool]:
    """Do what `ServerSession.pop_once` does, with the store calls of each step in the open."""
    if KEY not in state.data:
        return False
    won = yield from pop_stored(context, state, KEY)
    state.exposed = state.data.pop(KEY, None) is not None
    return won


def _taking(taker: Taker, *, changes: bool) -> Callable[[World], Actor]:
    def errand(world: World) -> Actor:
        context = world.context()
        state = SessionState(world.clock())
        yield from open_session(context, state, world.tokens["here"])
        session = face_of(state)
        if changes:
            session["changed"] = True
        won = yield from taker(context, state)
        outcome = yield from commit(context, state)
        return won, outcome.result

    return errand


#: Someone who takes something, who does so again, and who meanwhile changes something else.
POP = Role("pop", errand=_taking(_pop, changes=False))
POP_AND_CHANGE = Role("pop and change", errand=_taking(_pop, changes=True))
CONSUME = Role("consume", errand=_taking(consume_authentication, changes=False))

#: Whom they meet.
OTHERS = (r.SAVE, r.COUNT, r.TOUCH, r.ROTATE, r.RENEW, r.BIND, r.LOGOUT, r.DESTROY, r.REVOKE_ALL, POP_AND_CHANGE)


@dataclass
class Judge:
    """Checks that at most one has won, and that none has only if it still exists, or the session is over."""

    left: Callable[[World], int]

    def __call__(self, world: World) -> None:
        """Check the end of one schedule."""
        results = [result for name, result in world.results.items() if name.startswith(("pop", "consume"))]
        won = sum(taken for taken, _ in results)
        assert won <= 1, f"{won} requests were given it"
        left = self.left(world)
        assert won + left <= 1, "it was given out, and is there again"
        assert won + left == 1 or not world.survivors, "it is lost"


def _codes(world: World) -> int:
    return sum(KEY in session.data for session in world.survivors)


def _one_pop(role: Role, other: Role, backend: type[Atomic]) -> None:
    explore(lambda: World((role, role, other), backend, "alice", Judge(_codes)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("other", OTHERS, ids=lambda role: role.name.replace(" ", "-"))
def test_a_value_is_given_out_once(other: Role, backend: type[Atomic]) -> None:
    """Of two requests that pop the value beside a third, one gets it, or it is left, or the session is over."""
    _one_pop(POP, other, backend)


def _unused(world: World) -> int:
    found = (world.store.load(session.key) for session in world.survivors)
    return sum(record is not None and b'"unused"' in record.data for record in found)


@pytest.mark.parametrize("other", [r.SAVE, r.ROTATE, r.RENEW], ids=lambda role: role.name)
def test_a_login_is_made_use_of_once(other: Role) -> None:
    """The same holds for a login that is good for one request."""
    explore(lambda: World((CONSUME, CONSUME, other), Atomic, "alice", Judge(_unused)))


def _whatever_is_there(context: Any, state: SessionState, key: str) -> Flow[bool]:
    """Remove the key as an ordinary change at the end, as reading and deleting it would."""
    yield from ()
    return key in state.data


def _not_looked_again(context: Any, state: SessionState, without: Any) -> Flow[bool]:
    """Answer by the state at the lookup, regardless of the order."""
    there = state.stored is not None and without(state.stored.envelope) is not None
    yield from _pop_from(context, state, without)
    return there


_pop_from = seams.POP_STORED.sound


@pytest.mark.parametrize(
    ("seam", "wrong"),
    [(Seam(f"{__name__}:pop_stored"), _whatever_is_there), (seams.POP_STORED, _not_looked_again)],
    ids=["deleted-at-the-end", "not-looked-at-again"],
)
def test_a_value_that_is_given_out_twice_is_found(seam: Seam, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is alive: it finds a schedule in which both get the value where it is not taken out at once."""
    seam.plant(monkeypatch, wrong)
    with pytest.raises(Violation, match="2 requests were given it"):
        _one_pop(POP, r.SAVE, Atomic)
