"""The end of everyone ends every session that was there before, in every order of the store calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from explorer import planted as p
from explorer import roles as r
from explorer.invariants import an_end_is_told_once, every_session_has_a_browser, r7_one_id_lives
from explorer.scenarios import label, on_every_store
from explorer.search import Violation, explore
from explorer.stores import Atomic, Stepwise
from explorer.world import Role, World
from support import seams
from support.seams import Seam

from holdfast.sessions.state import PERMANENT

# The longest takes seconds on an idle machine.
pytestmark = pytest.mark.timeout(180)


#: The concurrent actors. None of them begins a new session.
OTHERS = (r.SAVE, r.TOUCH, r.ROTATE, r.RENEW, r.RENEW_AND_COUNT, r.LOGOUT, r.DESTROY, r.REVOKE, r.REVOKE_ALL)

#: They move the session that the walk meets last, to various places.
MOVERS = [replace(role, name=f"{role.name} {n}", browser="there") for n in range(4) for role in (r.ROTATE, r.RENEW)]

#: These do.
BEGINNERS = (r.LOGIN, r.LOGIN_AFRESH, r.LOGIN_BOB, r.BIND, r.CLEAR_AND_WRITE)


def _nobody_is_left(world: World) -> None:
    left = [session for session in world.sessions if PERMANENT in session.data]
    assert not left, f"{left} live"
    _sound(world)


def _sound(world: World) -> None:
    invariants = [r7_one_id_lives, every_session_has_a_browser]
    # Where one session ends and another begins in its place, each has an end of its own.
    if not {r.LOGOUT, r.LOGIN_BOB, r.CLEAR_AND_WRITE}.intersection(world.roles):
        invariants.append(an_end_is_told_once)
    for invariant in invariants:
        problem = invariant(world)
        assert problem is None, problem
    for name, answer in world.answers.items():
        late = "revoke everyone" in answer.after and not {"binds", "binds bob"}.intersection(answer.role.marks)
        assert not (late and answer.found and answer.cookie == "send"), f"{name} sends a cookie after the end"


def _only_new_ones_are_left(world: World) -> None:
    began = {name for name, answer in world.answers.items() if answer.result == "saved"}
    strangers = [session for session in world.sessions if not began.intersection(session.data)]
    assert not strangers, f"{strangers} live"
    _sound(world)


@pytest.mark.parametrize("user", ["alice", None])
@pytest.mark.parametrize("other", OTHERS, ids=label)
def test_nobody_is_left(other: Role, user: str | None) -> None:
    """A request or another end in progress leaves no session behind, and no request sends a cookie after it."""
    on_every_store(lambda backend: explore(lambda: World((r.EVERYONE, other), backend, user, _nobody_is_left)))


@pytest.mark.parametrize("mover", MOVERS, ids=label)
def test_a_session_that_moves_does_not_slip_past(mover: Role) -> None:
    """A session that moves to where the walk has been is found, too."""
    on_every_store(lambda backend: explore(lambda: World((r.EVERYONE, mover), backend, None, _nobody_is_left)))


@pytest.mark.parametrize("user", ["alice", None])
@pytest.mark.parametrize("beginner", BEGINNERS, ids=label)
def test_only_new_ones_are_left(beginner: Role, user: str | None) -> None:
    """A session that begins meanwhile may stand; no other does, and none under two ids."""
    roles = (r.EVERYONE, beginner)
    on_every_store(lambda backend: explore(lambda: World(roles, backend, user, _only_new_ones_are_left)))


@pytest.mark.parametrize("backend", [Atomic, Stepwise], ids=label)
def test_two_ends_of_everyone(backend: type[Atomic]) -> None:
    """Two calls that end all sessions at once do so, and report each session once."""
    explore(lambda: World((r.EVERYONE, r.EVERYONE), backend, "alice", _nobody_is_left))


# --- the check is alive ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seam", "wrong"),
    [(seams.FOLLOW_ON_WALK, p.follow_nothing), (Seam("explorer.roles:revoke_everyone"), p.walk_once)],
    ids=["follow-nothing", "walk-once"],
)
def test_what_is_wrong_is_found(seam: Seam, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to end everyone wrongly that is planted lets a session live in some order."""
    seam.plant(monkeypatch, wrong)
    # It moves the session from what is still to come to where the walk has been.
    [behind] = [mover for mover in MOVERS if mover.name == "renew 2"]
    with pytest.raises(Violation, match="live"):
        _three_meet(behind)


def _three_meet(mover: Role) -> None:
    # While the other session is ended by its own browser, a scan may find no other to end, and be the last.
    explore(lambda: World((r.EVERYONE, r.DESTROY, mover), Atomic, None, _nobody_is_left))


@pytest.mark.parametrize("mover", MOVERS, ids=label)
def test_three_meet(mover: Role) -> None:
    """Without a bug, such three leave no session."""
    _three_meet(mover)
