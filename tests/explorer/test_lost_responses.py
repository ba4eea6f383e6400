"""R14: the response to a login or a renewal does not arrive. The user signs in again at once, or goes on.

Here no browser gets any response of the race: it has the token that it had before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from explorer import cookie_world as c
from explorer import roles as r
from explorer.cookie_world import CookieWorld
from explorer.faults import FAULTS, Fault
from explorer.invariants import r14_a_login_signs_in
from explorer.scenarios import label
from explorer.search import explore
from explorer.stores import Atomic, Scattered, Stepwise
from explorer.world import ALICE, Role, World, face_of

from holdfast.clock import HOUR
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.ops import drive
from holdfast.sessions.state import CookieAction

# The longest takes seconds on an idle machine.
pytestmark = pytest.mark.timeout(180)

#: More steps than an actor takes when it meets one other.
_STEPS = 24


def signs_in_again(world: World) -> None:
    """Check that the user can sign in with the old token a moment later."""
    world.clock.advance_ms(1)
    state = world.probe(world.tokens["here"])
    face_of(state).bind("alice")
    outcome = drive(commit(world.context(), state, world.flows), world.store)
    assert outcome.cookie is CookieAction.SEND, f"the next login is answered {outcome}"
    assert state.stored is not None
    found = world.probe(state.stored.value).stored
    assert found is not None, "the token of the next login opens nothing"
    assert found.owner == ALICE


def goes_on(world: World) -> None:
    """Check that the old token opens the session hours later."""
    world.clock.advance_ms(3 * HOUR)
    assert world.probe(world.tokens["here"]).stored is not None, "the token that the browser has opens nothing"


def keeps_changes(world: World) -> None:
    """Check that no change of a long request is lost, and that its answer is true."""
    [session] = world.survivors
    for name, answer in world.answers.items():
        assert answer.result in ("saved", "merged"), f"{name} is answered {answer.result!r}"
        count, items = session.data["hits"], session.data["list"]
        assert (count, items) in ((1, []), (0, [name])), f"what {name} changed is lost"


def _strike(role: Role, fault: Fault, others: tuple[Role, ...], judge: Callable[[World], None]) -> None:
    """Explore *role* with *fault* at each of its steps in turn, against each of *others*."""
    for at in range(_STEPS):
        times: list[int] = []
        broken = replace(role, name=f"broken {role.name}", fault=fault(at, lambda: times.append(at)))  # noqa: B023
        for other in others:
            explore(lambda: World((broken, other), Atomic, "alice", judge))  # noqa: B023
        if not times:
            return
    raise AssertionError("the role takes more steps")


@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
@pytest.mark.parametrize("role", [r.LOGIN, r.BIND, r.LOGIN_BOB, r.LOGOUT, r.ROTATE, r.RENEW], ids=label)
def test_the_user_signs_in_again_at_once(role: Role, backend: type[Atomic]) -> None:
    """Whatever came of a login whose response is lost, and of another request, the next login signs in."""
    for other in (r.SAVE, r.RENEW, r.BIND, r.DESTROY, r.REVOKE_ALL):
        for user in ("alice", None):
            explore(lambda: World((role, other), backend, user, signs_in_again))  # noqa: B023


@pytest.mark.parametrize("role", [r.LOGIN, r.BIND, r.LOGIN_BOB, r.LOGOUT, r.ROTATE, r.RENEW], ids=label)
def test_the_user_signs_in_again_with_sessions_in_the_cookie(role: Role) -> None:
    """The same holds there, and both of two logins at once sign in."""

    def judge(world: World) -> None:
        problem = r14_a_login_signs_in(world)
        assert problem is None, problem
        signs_in_again(world)

    for other in (r.SAVE, r.RENEW, r.BIND, r.DESTROY, c.REVOKE_ALL):
        for user in ("alice", None):
            explore(lambda: CookieWorld((role, other), Atomic, user, judge))  # noqa: B023


@pytest.mark.parametrize("fault", FAULTS, ids=label)
@pytest.mark.parametrize("role", [r.BIND, r.LOGIN_BOB, r.RENEW], ids=label)
def test_the_user_signs_in_again_after_a_failure(role: Role, fault: Fault) -> None:
    """The same if a step of it fails, or its process is killed."""
    _strike(role, fault, (r.SAVE, r.BIND), signs_in_again)


@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
@pytest.mark.parametrize("other", [r.SAVE, r.COUNT, r.READ, r.REFRESH, r.TOUCH, r.RENEW, r.RENEW_AND_COUNT], ids=label)
def test_the_user_goes_on_after_a_renewal(other: Role, backend: type[Atomic]) -> None:
    """The renewed token does not arrive, and the next request comes after hours: the old one opens the session."""
    for role in (r.RENEW, r.RENEW_AND_COUNT):
        explore(lambda: World((role, other), backend, "alice", goes_on))  # noqa: B023


@pytest.mark.parametrize("fault", FAULTS, ids=label)
@pytest.mark.parametrize("role", [r.RENEW, r.RENEW_AND_COUNT], ids=label)
def test_the_user_goes_on_after_a_renewal_that_failed(role: Role, fault: Fault) -> None:
    """The same if a step of the renewal fails, or its process is killed."""
    _strike(role, fault, (r.SAVE, r.READ), goes_on)


@pytest.mark.parametrize("backend", [Atomic, Stepwise], ids=label)
@pytest.mark.parametrize("slow", [r.SLOW_COUNT, r.SLOW_APPEND], ids=label)
def test_a_request_longer_than_the_grace_period_keeps_its_changes(slow: Role, backend: type[Atomic]) -> None:
    """The token is renewed and presented while a request of a minute runs: its change is stored."""
    explore(lambda: World((slow, r.RENEW_AND_PRESENT), backend, "alice", keeps_changes))
