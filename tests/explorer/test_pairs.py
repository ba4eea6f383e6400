"""Every pair of actors, in every order of their store calls, on every kind of store."""

from __future__ import annotations

import pytest
from explorer.roles import (
    BIND,
    DESTROY,
    LOGIN,
    LOGIN_AFRESH,
    LOGIN_SLOWLY,
    RENEW,
    REVOKE_ALL,
    REVOKE_ALL_TWICE,
    REVOKE_FROM_THERE,
    REVOKE_OTHERS,
    ROLES,
    ROTATE,
    SAVE,
)
from explorer.scenarios import USERS, groups, label, on_every_store, run
from explorer.stores import BACKENDS, Atomic, Paged
from explorer.world import Role

# Each test runs hundreds of pairs.
pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("role", ROLES, ids=label)
def test_pairs(role: Role, user: str | None) -> None:
    """In any order, no update is lost, no end is undone, one id lives, and no other user's cookie is replaced."""
    for pair in groups(2, first=role):
        on_every_store(lambda backend, pair=pair: run(pair, backend, user))  # type: ignore[misc]


@pytest.mark.parametrize("role", [REVOKE_ALL, REVOKE_FROM_THERE, REVOKE_OTHERS], ids=label)
def test_an_end_of_all_sessions_that_are_listed_in_pages(role: Role) -> None:
    """Whatever moves from one page to another meanwhile, every session ends, but for the one that is kept."""
    for others in ((ROTATE,), (RENEW,), (LOGIN_AFRESH,), (BIND,), (DESTROY,), (ROTATE, RENEW), (ROTATE, SAVE)):
        run((role, *others), Paged, "alice")


@pytest.mark.parametrize("backend", BACKENDS, ids=label)
def test_a_server_whose_clock_is_behind_does_not_take_back_the_end_of_all_sessions(backend: type[Atomic]) -> None:
    """A login that began before all sessions were ended gives way, even if they are ended again by a slow clock."""
    for login in (LOGIN, LOGIN_SLOWLY):
        for user in USERS:
            run((login, REVOKE_ALL_TWICE), backend, user)
