"""R15: ends against policies for conflicts, data that cannot be stored, a full store, a stale cache, each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from explorer import cookie_world as c
from explorer import roles as r
from explorer.cookie_world import CookieWorld
from explorer.faults import full, unreached
from explorer.scenarios import label
from explorer.search import explore
from explorer.stores import Atomic, Scattered
from explorer.world import ALICE, Host, Live, Role, World

# The longest takes seconds on an idle machine.
pytestmark = pytest.mark.timeout(180)

#: They end the session in ``here``, or Alice's in ``there``, or both.
ENDERS = (
    r.LOGOUT,
    r.DESTROY,
    r.CLEAR_AND_WRITE,
    r.DESTROY_AND_SPOIL,
    r.LOGOUT_AND_SPOIL,
    r.REVOKE,
    r.REVOKE_ALL,
    r.END_OTHERS,
)

#: Two of these take long. All of them are among the pairs, and meet others here.
SLOW = ({r.REVOKE_ALL, r.END_OTHERS}, {r.LOGOUT, r.LOGOUT_AND_SPOIL, r.CLEAR_AND_WRITE, r.END_OTHERS})

#: They try to give the session another token, twice at each of many attempts.
SLOW_ON_A_FULL_STORE = {r.LOGOUT, r.CLEAR_AND_WRITE, r.LOGOUT_AND_SPOIL, r.END_OTHERS}

#: They change it, or give it another token.
CHANGERS = (r.SAVE, r.COUNT, r.RENEW, r.RENEW_AND_COUNT, r.ROTATE)


def judge(world: World) -> None:
    """Check that each request that ends sessions ended them, or that its answer is an error of the store."""
    alices = [session for session in world.sessions if session.owner == ALICE]
    for name, role in zip(world.actors, world.roles, strict=True):
        result = world.results[name]
        assert result != "conflict" or role in CHANGERS or role.name in _NAMES, f"{name} is refused"
        if role.name in _NAMES:
            continue
        if result == "unavailable":
            needs_room = "ends others" in role.marks  # it also gives its own session another token
            assert role.fault is not full or needs_room, f"{name} is an error, and a deletion needs no room"
            continue
        left = [session for session in alices if session in _ended_by(world, name, role)]
        assert not left, f"{left[0]} lives after {name}: {result}"


_NAMES = frozenset(role.name for role in CHANGERS)


def _ended_by(world: World, name: str, role: Role) -> list[Live]:
    """Return the sessions that may not be Alice's any more after *role*."""
    if "revokes" in role.marks:
        return world.sessions
    answer = world.answers.get(name)
    if "ends others" in role.marks:
        others = [session for session in world.sessions if session not in world.survivors]
        return others if answer and answer.found else []
    came = answer is None or answer.found is not None or answer.read_only
    return world.survivors if came else []


def explore_ends(roles: tuple[Role, ...], backend: type[Atomic], *, cutoff_before: bool = False) -> None:
    """Explore *roles*, in a session of Alice's, and judge the ends."""
    explore(lambda: World(roles, backend, "alice", judge, cutoff_before=cutoff_before))


def _on(host: Host, role: Role) -> Role:
    return replace(role, host=host)


def _on_a_full_store(role: Role) -> Role:
    return replace(role, fault=full)


HOSTS: dict[str, Callable[[Role], Role]] = {
    "error": partial(_on, Host(on_conflict="error", attempts=2)),
    "few attempts": partial(_on, Host(attempts=2)),
    "near cache": partial(_on, Host(near=True)),
    "full": _on_a_full_store,
}


@pytest.mark.parametrize("ender", ENDERS, ids=label)
@pytest.mark.parametrize(
    ("circumstance", "backend"), [*((name, Atomic) for name in HOSTS), ("error", Scattered), ("full", Scattered)]
)
def test_an_end_wins(circumstance: str, ender: Role, backend: type[Atomic]) -> None:
    """Whatever another request does meanwhile, what was to end is over, and no policy for conflicts prevents it."""
    within = HOSTS[circumstance]
    for other in (r.SAVE,) if circumstance == "full" and ender in SLOW_ON_A_FULL_STORE else CHANGERS:
        also = within(other) if circumstance == "full" else other
        explore_ends((within(ender), also), backend, cutoff_before=circumstance == "near cache")


@pytest.mark.parametrize("circumstance", HOSTS)
@pytest.mark.parametrize("ender", ENDERS, ids=label)
def test_ends_win_against_each_other(ender: Role, circumstance: str) -> None:
    """Two ends at once end what either is to end."""
    within = HOSTS[circumstance]
    for other in ENDERS[ENDERS.index(ender) :]:
        on_full = circumstance == "full" and not SLOW_ON_A_FULL_STORE.isdisjoint({ender, other})
        if not on_full and not any({ender, other} <= slow for slow in SLOW):
            explore_ends((within(ender), within(other)), Atomic, cutoff_before=circumstance == "near cache")


@pytest.mark.parametrize("ender", [r.LOGOUT, r.DESTROY, r.CLEAR_AND_WRITE], ids=label)
def test_a_logout_whose_lookup_fails_ends_the_session_or_is_an_error(ender: Role) -> None:
    """The store fails during the lookup, and the policy is to go on without it: the session ends all the same."""
    host = Host(on_store_error="anonymous")
    for other in CHANGERS:
        explore_ends((replace(ender, host=host, fault=unreached(0, lambda: None)), other), Atomic)


@pytest.mark.parametrize(
    "ender", [r.LOGOUT, r.DESTROY, r.CLEAR_AND_WRITE, c.REVOKE, c.REVOKE_ALL, c.END_OTHERS], ids=label
)
def test_an_end_wins_in_the_cookie(ender: Role) -> None:
    """Sessions in the cookie: what was to end is over, and no request in flight has a live cookie for it."""
    for other in (r.SAVE, r.RENEW, r.ROTATE, r.DESTROY, c.REVOKE, c.REVOKE_ALL, c.END_OTHERS):
        explore(lambda: CookieWorld((ender, other), Atomic, "alice", judge))  # noqa: B023
