"""Hosts that differ: their clocks, and caches in front of the store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from explorer import roles as r
from explorer.invariants import judge
from explorer.scenarios import label
from explorer.search import Violation, explore
from explorer.stores import Atomic, Stepwise, Timed
from explorer.world import Host, Role, World
from support import seams

from holdfast.clock import SECOND
from holdfast.sessions.ops import Flow

# The longest takes seconds on an idle machine.
pytestmark = pytest.mark.timeout(180)

ROLES = (r.SAVE, r.COUNT, r.REFRESH, r.TOUCH, r.ROTATE, r.RENEW, r.BIND, r.LOGIN_AFRESH, r.LOGOUT, r.DESTROY, r.REVOKE)


@pytest.mark.parametrize("role", [*ROLES, r.LOGIN, r.LOGIN_SLOWLY, r.REVOKE_ALL, r.LIST], ids=label)
def test_a_stale_cache(role: Role) -> None:
    """A host whose cache holds everything as it was before breaks no promise, whatever another host does."""
    near = replace(role, host=Host(near=True))
    for other in (*ROLES, r.REVOKE_ALL):
        explore(lambda: World((near, other), Atomic, "alice", judge, cutoff_before=True))  # noqa: B023


def test_a_stale_cache_on_a_store_that_rotates_in_steps() -> None:
    """The same where a rotation takes several calls."""
    for role in (r.ROTATE, r.RENEW, r.LOGIN_AFRESH, r.LOGIN_SLOWLY):
        near = replace(role, host=Host(near=True))
        for other in (r.SAVE, r.DESTROY, r.REVOKE_ALL):
            explore(lambda: World((near, other), Stepwise, "alice", judge, cutoff_before=True))  # noqa: B023


@pytest.mark.parametrize("ahead", [-5 * SECOND, 5 * SECOND])
@pytest.mark.parametrize("role", ROLES, ids=label)
def test_clocks_that_differ(role: Role, ahead: int) -> None:
    """Seconds between the clocks of two hosts lose no change, end no session, and revive none."""
    off = replace(role, host=Host(ahead=ahead))
    for other in ROLES:
        explore(lambda: World((off, other), Atomic, "alice", judge))  # noqa: B023


@pytest.mark.parametrize("ahead", [-5 * SECOND, 5 * SECOND])
@pytest.mark.parametrize("role", [r.LOGIN, r.LOGIN_AFRESH, r.LOGIN_SLOWLY, r.BIND, r.REVOKE_ALL], ids=label)
def test_the_store_s_clock_decides_about_the_end_of_all_sessions(role: Role, ahead: int) -> None:
    """Where the store's server has a clock, a login on another host gives way to the end of all that comes after it."""
    off = replace(role, host=Host(ahead=ahead))
    others = (r.LOGIN_AFRESH, r.BIND, r.ROTATE) if role is r.REVOKE_ALL else (r.REVOKE_ALL,)
    for other in others:
        for user in ("alice", None):
            explore(lambda: World((off, other), Timed, user, judge))  # noqa: B023


def test_a_clock_of_a_host_that_decides_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the clock of the login's host decided, one that is ahead would outlive the end of all sessions."""

    def none(_context: object) -> Flow[int]:
        yield from ()
        return 0

    seams.SHARED_CLOCK.plant(monkeypatch, none)
    off = replace(r.LOGIN_AFRESH, host=Host(ahead=5 * SECOND))
    with pytest.raises(Violation, match="r8_no_session_outlives"):
        explore(lambda: World((off, r.REVOKE_ALL), Timed, "alice", judge))
