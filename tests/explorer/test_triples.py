"""The groups of three in which the third actor meets a state that only the race of two others makes."""

from __future__ import annotations

import pytest
from explorer import roles as r
from explorer.scenarios import label, run, run_some
from explorer.stores import Atomic, Scattered
from explorer.world import Role

# The longest takes seconds on an idle machine.
pytestmark = pytest.mark.timeout(180)

#: Under the session of a signed-in user.
SIGNED_IN = (
    # Merges over merges.
    (r.COUNT, r.COUNT, r.COUNT),
    (r.APPEND, r.APPEND, r.APPEND),
    (r.SAVE, r.COUNT, r.APPEND),
    # A renewal is followed, whatever happens to where it leads.
    (r.RENEW, r.SAVE, r.APPEND),
    (r.RENEW, r.RENEW, r.COUNT),
    (r.RENEW, r.RENEW_AND_COUNT, r.RENEW_AND_COUNT),
    (r.RENEW, r.READ, r.ROTATE),
    (r.RENEW, r.READ, r.BIND),
    (r.RENEW, r.READ, r.DESTROY),
    (r.RENEW, r.REFRESH, r.LOGIN_BOB),
    (r.RENEW, r.TOUCH, r.DESTROY),
    (r.RENEW, r.COUNT, r.DESTROY),
    (r.RENEW, r.COUNT, r.LOGOUT),
    (r.RENEW, r.COUNT, r.REVOKE),
    (r.RENEW, r.ROTATE, r.DESTROY),
    (r.RENEW, r.RENEW, r.REVOKE),
    # Several want the id.
    (r.ROTATE, r.ROTATE, r.SAVE),
    (r.ROTATE, r.ROTATE, r.ROTATE),
    (r.ROTATE, r.RENEW, r.COUNT),
    (r.ROTATE, r.SAVE, r.DESTROY),
    (r.ROTATE, r.SAVE, r.REVOKE),
    (r.ROTATE, r.BIND, r.DESTROY),
    (r.LOGIN_BOB, r.BIND, r.SAVE),
    (r.LOGIN_BOB, r.SAVE, r.REVOKE),
    (r.LOGIN_BOB, r.DESTROY, r.APPEND),
    (r.LOGOUT, r.ROTATE, r.REVOKE),
    (r.CLEAR_AND_WRITE, r.RENEW, r.REVOKE),
    # Everything ends.
    (r.REVOKE_ALL, r.ROTATE, r.SAVE),
    (r.REVOKE_ALL, r.RENEW, r.COUNT),
    (r.REVOKE_ALL, r.LOGIN_AFRESH, r.ROTATE),
    (r.REVOKE_ALL, r.LOGIN_AFRESH, r.LOGIN_AFRESH),
    (r.REVOKE_ALL, r.DESTROY, r.SAVE),
    (r.REVOKE_FROM_THERE, r.ROTATE, r.SAVE),
    (r.REVOKE_OTHERS, r.COUNT, r.SAVE),
)

#: Under the session of a visitor.
ANONYMOUS = (
    (r.LOGIN, r.LOGIN, r.SAVE),
    (r.LOGIN, r.LOGIN_BOB, r.SAVE),
    (r.LOGIN, r.LOGIN_BOB, r.DESTROY),
    (r.LOGIN, r.COUNT, r.DESTROY),
    (r.LOGIN, r.SAVE, r.REVOKE),
    (r.LOGIN, r.RENEW, r.APPEND),
    (r.LOGIN, r.RENEW, r.READ),
    (r.LOGIN, r.LOGIN_AFRESH, r.LIST),
    (r.LOGIN, r.LOGIN_AFRESH, r.REVOKE_ALL),
    (r.LOGIN, r.SAVE, r.REVOKE_ALL),
    (r.TAKE_LAST, r.SAVE, r.COUNT),
    (r.TAKE_LAST, r.SAVE, r.RENEW),
    (r.TAKE_LAST, r.APPEND, r.LOGIN),
)

#: With these, on a store that rotates in steps, a test runs some schedules and `make explore` all of them.
LONG = {r.REVOKE_ALL, r.REVOKE_FROM_THERE}


@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
@pytest.mark.parametrize("triple", SIGNED_IN, ids=label)
def test_three_meet_under_the_session_of_a_user(triple: tuple[Role, ...], backend: type[Atomic]) -> None:
    """The same holds for three."""
    _run(triple, backend, "alice")


@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
@pytest.mark.parametrize("triple", ANONYMOUS, ids=label)
def test_three_meet_under_the_session_of_a_visitor(triple: tuple[Role, ...], backend: type[Atomic]) -> None:
    """The same holds for three."""
    _run(triple, backend, None)


def _run(triple: tuple[Role, ...], backend: type[Atomic], user: str | None) -> None:
    if backend is Scattered and not LONG.isdisjoint(triple):
        run_some(triple, backend, user, times=500)
    else:
        run(triple, backend, user)
