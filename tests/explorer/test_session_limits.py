"""A user never has more sessions than the limit, in every order of the store calls of logins and whom they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from explorer import planted as p
from explorer import roles as r
from explorer.invariants import every_session_has_a_browser, r9_the_index_is_complete
from explorer.scenarios import label, on_every_store
from explorer.search import ExplorationStats, Violation, explore, sample
from explorer.stores import Atomic, Scattered
from explorer.world import ALICE, Role, World
from support import seams
from support.seams import Seam

# The longest takes seconds on an idle machine.
pytestmark = pytest.mark.timeout(180)

#: The concurrent actors while a user signs in.
OTHERS = (r.SAVE, r.ROTATE, r.RENEW, r.BIND, r.LOGOUT, r.DESTROY, r.REVOKE)


@pytest.fixture(autouse=True)
def _one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a login that has to go look once: more of the same takes long to run in every order."""
    seams.LIMIT_WAITS.plant(monkeypatch, (None,))


def _judge(limit: int, *, least: int = 1) -> Callable[[World], None]:
    def judge(world: World) -> None:
        live = [session for session in world.sessions if session.owner == ALICE]
        assert len(live) <= limit, f"{len(live)} sessions live"
        assert len(live) >= least, "nobody is left"
        for invariant in (every_session_has_a_browser, r9_the_index_is_complete):
            problem = invariant(world)
            assert problem is None, problem
        for name, answer in world.answers.items():
            assert answer.result or world.results[name] == "refused"
            refused = world.results[name] == "refused" and "binds" in answer.role.marks
            assert not (refused and any(session.data.get(name) for session in live)), f"{name} was refused, and lives"

    return judge


def _least(roles: tuple[Role, ...], backend: type[Atomic]) -> int:
    """Return how many sessions must be left, of one or more.

    On a store that rotates in steps, the new record of a login that is about to fail cannot be distinguished from a
    session's, and a login may give way to it. It looks again after a moment, but here a moment takes no time.
    """
    moves = sum(role.browser is not None and "binds" in role.marks for role in roles)
    return 1 if backend.rotates or not moves else 0


def _run(
    roles: tuple[Role, ...], backend: type[Atomic], user: str | None, judge: Callable[[World], None], **limits: Any
) -> ExplorationStats:
    return explore(lambda: World(roles, backend, user, judge, limits=limits))


def _run_at(limit: int, pair: tuple[Role, ...], backend: type[Atomic], user: str | None) -> ExplorationStats:
    stats = _run(pair, backend, user, _judge(limit, least=_least(pair, backend)), max_per_user=limit)
    assert stats.schedules > 1
    return stats


@pytest.mark.parametrize(
    "pair", [(r.LOGIN_AFRESH, r.LOGIN_AFRESH), (r.LOGIN, r.LOGIN_AFRESH), (r.LOGIN, r.LOGIN)], ids=label
)
@pytest.mark.parametrize("limit", [1, 2])
def test_two_logins_at_once(pair: tuple[Role, ...], limit: int) -> None:
    """Of two logins at once, with or without a session, at a limit of one or two, none is too many, and one stays."""
    on_every_store(lambda backend: _run_at(limit, pair, backend, None))


def test_a_login_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that has to go looks again, and keeps to the limit with that, too."""
    seams.LIMIT_WAITS.plant(monkeypatch, (1.0, None))
    _run((r.LOGIN_AFRESH, r.LOGIN_AFRESH), Atomic, None, _judge(1), max_per_user=1)


@pytest.mark.parametrize("other", OTHERS, ids=label)
def test_a_login_meets_others(other: Role) -> None:
    """A login keeps to the limit whatever the user's other sessions do meanwhile, and the login itself stays."""
    for limit in (1, 2):
        on_every_store(lambda backend, at=limit: _run_at(at, (r.LOGIN_AFRESH, other), backend, "alice"))  # type: ignore[misc]


@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
@pytest.mark.parametrize("last", [r.LOGIN_AFRESH, r.ROTATE, r.BIND], ids=label)
@pytest.mark.parametrize("limit", [1, 2])
def test_more_at_once(backend: type[Atomic], last: Role, limit: int) -> None:
    """The same holds for four, in random orders: all of them are too many to run."""
    roles = (r.LOGIN_AFRESH, r.LOGIN_AFRESH, r.LOGIN, last)
    judge = _judge(limit, least=_least(roles, backend))
    sample(
        lambda: World(roles, backend, "alice", judge, limits={"max_per_user": limit}), times=100, seed=f"limit {limit}"
    )


@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
def test_as_many_stay_as_may(backend: type[Atomic]) -> None:
    """Of five logins at once, without sessions before them, exactly three stay at a limit of three."""
    roles, judge = (r.LOGIN_AFRESH,) * 5, _judge(3, least=3)
    sample(lambda: World(roles, backend, None, judge, limits={"max_per_user": 3}), times=40, seed="three of five")


def test_logins_that_are_refused() -> None:
    """If logins are refused, none exceeds the limit, a refused one leaves no record, and the earlier sessions stay."""
    rules: dict[str, Any] = {"max_per_user": 2, "on_max_per_user": "refuse"}
    for pair, user, least in (
        ((r.LOGIN_AFRESH, r.LOGIN_AFRESH), None, 1),
        ((r.LOGIN, r.LOGIN_AFRESH), None, 1),
        ((r.LOGIN_AFRESH, r.ROTATE), "alice", 2),
    ):
        judge = _judge(2, least=least)
        on_every_store(lambda at, pair=pair, user=user, judge=judge: _run(pair, at, user, judge, **rules))  # type: ignore[misc]


# --- the check is alive ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "roles", "limit", "said"),
    [
        ({seams.LIMIT_MAKE_ROOM: p.end_all_others}, (r.LOGIN_AFRESH, r.LOGIN_AFRESH), 1, "nobody is left"),
        ({seams.LIMIT_OTHERS: p.stop_at_tombstones}, (r.LOGIN_AFRESH, r.ROTATE), 2, "3 sessions live"),
        (
            {seams.LIMIT_CHECK_ROOM: p.count_first, seams.LIMIT_MAKE_ROOM: p.nothing_afterwards},
            (r.LOGIN_AFRESH, r.LOGIN_AFRESH),
            1,
            "2 sessions",
        ),
    ],
    ids=["end-all-others", "stop-at-tombstones", "count-first"],
)
def test_what_is_wrong_is_found(
    changed: dict[Seam, Any], roles: tuple[Role, ...], limit: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to get the limit wrong that is planted breaks it in some order of the store calls."""
    for seam, wrong in changed.items():
        seam.plant(monkeypatch, wrong)
    with pytest.raises(Violation, match=said):
        _run(roles, Scattered, "alice", _judge(limit), max_per_user=limit)
