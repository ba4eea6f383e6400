"""Exactly one request gets a single-use value, in every order of the store calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from explorer import planted as p
from explorer import roles as r
from explorer.search import Violation, explore
from explorer.stores import BACKENDS, Atomic
from explorer.world import Role, World
from support import seams
from support.seams import Seam

from holdfast.records.envelope import Envelope, decode
from holdfast.records.metadata import UNUSED

#: Whom they meet.
OTHERS = (r.SAVE, r.COUNT, r.TOUCH, r.ROTATE, r.RENEW, r.BIND, r.LOGOUT, r.DESTROY, r.REVOKE_ALL, r.POP_AND_CHANGE)


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
    return sum(r.KEY_TO_POP in session.data for session in world.survivors)


def _one_pop(role: Role, other: Role, backend: type[Atomic]) -> None:
    explore(lambda: World((role, role, other), backend, "alice", Judge(_codes)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("other", OTHERS, ids=lambda role: role.name.replace(" ", "-"))
def test_a_value_is_given_out_once(other: Role, backend: type[Atomic]) -> None:
    """Of two requests that pop the value beside a third, one gets it, or it is left, or the session is over."""
    _one_pop(r.POP, other, backend)


def _unused(world: World) -> int:
    found = [decode(record.data) for each in world.survivors if (record := world.store.load(each.key)) is not None]
    return sum(isinstance(body, Envelope) and UNUSED in body.meta for body in found)


@pytest.mark.parametrize("other", [r.SAVE, r.ROTATE, r.RENEW], ids=lambda role: role.name)
def test_a_login_is_made_use_of_once(other: Role) -> None:
    """The same holds for a login that is good for one request."""
    explore(lambda: World((r.CONSUME, r.CONSUME, other), Atomic, "alice", Judge(_unused)))


@pytest.mark.parametrize(
    ("seam", "wrong"),
    [(Seam("explorer.roles:pop_stored"), p.take_what_is_there), (seams.POP_STORED, p.do_not_look_again)],
    ids=["deleted-at-the-end", "not-looked-at-again"],
)
def test_a_value_that_is_given_out_twice_is_found(seam: Seam, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is alive: it finds a schedule in which both get the value where it is not taken out at once."""
    seam.plant(monkeypatch, wrong)
    with pytest.raises(Violation, match="2 requests were given it"):
        _one_pop(r.POP, r.SAVE, Atomic)
