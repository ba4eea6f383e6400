"""The groups of actors, and their stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement

from explorer.invariants import judge
from explorer.roles import LIST, REVOKE_ALL, REVOKE_ALL_TWICE, REVOKE_FROM_THERE, REVOKE_OTHERS, ROLES, TAKE_LAST
from explorer.schedules import Actor
from explorer.search import ExplorationStats, explore, sample
from explorer.stores import BACKENDS, Atomic, Backwards, Scattered, Stepwise
from explorer.world import Role, World, untouched

USERS = ("alice", None)

#: They go through the index, so that its order matters.
LISTERS = {LIST, REVOKE_ALL, REVOKE_ALL_TWICE, REVOKE_FROM_THERE, REVOKE_OTHERS}


def run(
    roles: Sequence[Role],
    backend: type[Atomic],
    user: str | None,
    *,
    tamper: Callable[[Actor], Actor] = untouched,
    reduce: bool = True,
) -> ExplorationStats:
    """Run every schedule of *roles* on *backend*, where the browser ``here`` has a session of *user*."""
    return explore(_builder(roles, backend, user, tamper), reduce=reduce)


def on_every_store(explored: Callable[[type[Atomic]], ExplorationStats]) -> None:
    """Call *explored* with each kind of store, but for one on which every schedule is as on another.

    The kinds differ in the order of the index, in how a session moves, and in where the owners of records are.
    """
    calls = explored(Atomic).calls
    if "find" in calls:
        explored(Backwards)
    if "move" in calls:
        calls |= explored(Stepwise).calls
    if not calls.isdisjoint(("find", "owner")):
        explored(Scattered)


def run_some(roles: Sequence[Role], backend: type[Atomic], user: str | None, *, times: int) -> None:
    """Run *times* random schedules of *roles*, the same in each run, where `run` would take too long for a test."""
    sample(_builder(roles, backend, user), times=times, seed=f"{label(tuple(roles))} {user}")


def _builder(
    roles: Sequence[Role], backend: type[Atomic], user: str | None, tamper: Callable[[Actor], Actor] = untouched
) -> Callable[[], World]:
    # Removing the last key ends a session only if no other key is in it.
    return lambda: World(roles, backend, user, judge, bare=TAKE_LAST in roles, tamper=tamper)


def groups(size: int, first: Role | None = None) -> Iterator[tuple[Role, ...]]:
    """Yield every group of so many roles, each once; with *first*, those in which it is the first of `ROLES`."""
    for group in combinations_with_replacement(ROLES, size):
        if first is None or group[0] is first:
            yield group


def backends_for(roles: Sequence[Role]) -> Iterator[type[Atomic]]:
    """Yield the stores on which *roles* can differ."""
    for backend in BACKENDS:
        if backend is not Backwards or LISTERS.intersection(roles):
            yield backend


def label(value: object) -> str | None:
    """Return the name of a role, of several, or of a store or a fault, as the id of a test."""
    if isinstance(value, tuple):
        return "-and-".join(role.name.replace(" ", "-") for role in value)
    return value.name.replace(" ", "-") if isinstance(value, Role) else getattr(value, "__name__", None)
