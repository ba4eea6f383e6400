"""One actor is killed, or the store fails it once, at each of its steps in turn, while another is at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from explorer import roles as r
from explorer.relay import relay
from explorer.schedules import Actor, Footprint, describe, footprint
from explorer.search import explore
from explorer.stores import Atomic, Scattered
from explorer.world import ALICE, Live, Role, World

from holdfast.errors import StoreUnavailable

#: More steps than an actor takes when it meets one other.
_STEPS = 24


@dataclass(frozen=True)
class Failing:
    """An operation that fails, before or after it is applied."""

    operation: Any
    applied: bool

    @property
    def footprint(self) -> Footprint:
        """Return what the operation touches."""
        return footprint(self.operation)

    def run(self, store: Any) -> None:
        """Fail."""
        if self.applied:
            self.operation.run(store)
        raise StoreUnavailable("the connection is lost")

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"{describe(self.operation)}, {'applied but' if self.applied else 'not applied and'} not answered"


Fault = Callable[[int, Callable[[], None]], Callable[[Actor], Actor]]


def killed(at: int, happened: Callable[[], None]) -> Callable[[Actor], Actor]:
    """Return what ends an actor before its step number *at*, as a killed process does."""

    def fault(flow: Actor) -> Actor:
        answer = None
        for _ in range(at):
            try:
                operation = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = yield operation
        happened()
        return "killed"

    return fault


def _failing(at: int, happened: Callable[[], None], *, applied: bool) -> Callable[[Actor], Actor]:
    def fault(flow: Actor) -> Actor:
        step = -1

        def around(operation: Any) -> Actor:
            nonlocal step
            step += 1
            if step == at:
                happened()
                return (yield Failing(operation, applied))
            return (yield operation)

        return relay(flow, around)

    return fault


def unreached(at: int, happened: Callable[[], None]) -> Callable[[Actor], Actor]:
    """Return what makes the store fail at step number *at*, before it is applied."""
    return _failing(at, happened, applied=False)


def unanswered(at: int, happened: Callable[[], None]) -> Callable[[Actor], Actor]:
    """Return what makes the store fail at step number *at*, after it was applied."""
    return _failing(at, happened, applied=True)


def _reachable(world: World) -> list[Live]:
    """Return the session of the browser ``here`` under every id that some browser can open it with."""
    opened = [world.probe(token).stored for token in world.known_tokens]
    keys = {stored.key for stored in opened if stored is not None}
    return [session for session in world.survivors if session.key in keys]


def judge(world: World) -> None:
    """Check what no fault may break."""
    reachable = _reachable(world)
    assert len(reachable) <= 1, f"two ids work: {reachable}"
    broken = world.roles[0]
    others = {name: answer for name, answer in world.answers.items() if answer.role is not broken and answer.found}
    ended = [name for name, answer in world.answers.items() if answer.cookie == "delete"]
    ended += [name for name, result in world.results.items() if result == "confirmed"]
    revoked = isinstance(world.results.get("revoke all"), int)
    if ended or (revoked and reachable and reachable[0].owner == ALICE):
        assert not reachable, f"{reachable} lives after {ended or 'revoke all'}"
    if not ended and not revoked and broken.marks.isdisjoint(("ends", "revokes")):
        assert world.survivors, "nothing is left of the session"
        # A login whose revocation is unknown does not get its new id either: the user signs in again.
        lost = world.results[broken.name] == "killed" or "binds" in broken.marks
        assert reachable or lost, "no browser can open the session"
    for name, answer in others.items():
        if reachable and "writes" in answer.role.marks and answer.result in ("saved", "merged"):
            assert reachable[0].data.get(name), f"what {name} saved is lost"


def _names(value: object) -> str | None:
    return value.name.replace(" ", "-") if isinstance(value, Role) else getattr(value, "__name__", None)


BROKEN = (r.SAVE, r.ROTATE, r.RENEW, r.BIND, r.LOGOUT, r.DESTROY, r.REVOKE, r.REVOKE_ALL)
OTHERS = (r.SAVE, r.RENEW, r.DESTROY, r.REVOKE_ALL)


def _strike(role: Role, fault: Fault, at: int, other: Role, backend: type[Atomic]) -> bool:
    """Explore what happens when *fault* strikes at step number *at*, and return whether there was such a step."""
    times: list[int] = []
    broken = replace(role, name=f"broken {role.name}", fault=fault(at, lambda: times.append(at)))
    explore(lambda: World((broken, other), backend, "alice", judge))
    return bool(times)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=_names)
@pytest.mark.parametrize("fault", [killed, unreached, unanswered], ids=_names)
@pytest.mark.parametrize("role", BROKEN, ids=_names)
def test_one_id_works_and_what_is_over_stays_over(role: Role, fault: Fault, backend: type[Atomic]) -> None:
    """With a fault at any step, the data has an id, at most one id works, and no ended session comes back."""
    for other in OTHERS if role is not r.REVOKE_ALL else (r.SAVE, r.RENEW):
        assert not all(_strike(role, fault, at, other, backend) for at in range(_STEPS))
