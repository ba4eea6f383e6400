"""One actor is killed, or the store fails it once, at each of its steps in turn, while another is at work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from explorer import roles as r
from explorer.faults import FAULTS, Fault
from explorer.scenarios import label
from explorer.search import explore
from explorer.stores import Atomic, Scattered
from explorer.world import ALICE, Live, Role, World

#: More steps than an actor takes when it meets one other.
_STEPS = 24


#: The marks of roles that leave nothing of the session, or another one.
_MAY_END = ("ends", "ends everyone", "revokes", "wipes", "unbinds", "binds bob")


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
    if not ended and not revoked and broken.marks.isdisjoint(_MAY_END):
        assert world.survivors, "nothing is left of the session"
        # A login whose revocation is unknown does not get its new id either: the user signs in again.
        lost = world.results[broken.name] == "killed" or "binds" in broken.marks
        assert reachable or lost, "no browser can open the session"
    for name, answer in others.items():
        if reachable and "writes" in answer.role.marks and answer.result in ("saved", "merged"):
            assert reachable[0].data.get(name), f"what {name} saved is lost"


BROKEN = (r.SAVE, r.ROTATE, r.RENEW, r.BIND, r.LOGOUT, r.DESTROY, r.REVOKE, r.REVOKE_ALL)
#: The other flows meet fewer.
ALSO_BROKEN = (
    r.COUNT,
    r.TOUCH,
    r.REFRESH,
    r.TAKE_LAST,
    r.LOGIN_AFRESH,
    r.LOGIN_BOB,
    r.CLEAR_AND_WRITE,
    r.LOGOUT_AND_SPOIL,
    r.END_OTHERS,
    r.REVOKE_FROM_THERE,
    r.REVOKE_OTHERS,
    r.RENEW_AND_PRESENT,
    r.EVERYONE,
    r.LIST,
)
OTHERS = (r.SAVE, r.RENEW, r.DESTROY, r.REVOKE_ALL)


def _strike(role: Role, fault: Fault, at: int, other: Role, backend: type[Atomic]) -> bool:
    """Explore what happens when *fault* strikes at step number *at*, and return whether there was such a step."""
    times: list[int] = []
    broken = replace(role, name=f"broken {role.name}", fault=fault(at, lambda: times.append(at)))
    explore(lambda: World((broken, other), backend, "alice", judge))
    return bool(times)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", [Atomic, Scattered], ids=label)
@pytest.mark.parametrize("fault", FAULTS, ids=label)
@pytest.mark.parametrize("role", BROKEN, ids=label)
def test_one_id_works_and_what_is_over_stays_over(role: Role, fault: Fault, backend: type[Atomic]) -> None:
    """With a fault at any step, the data has an id, at most one id works, and no ended session comes back."""
    for other in OTHERS if role is not r.REVOKE_ALL else (r.SAVE, r.RENEW):
        assert not all(_strike(role, fault, at, other, backend) for at in range(_STEPS))


@pytest.mark.parametrize("fault", FAULTS, ids=label)
@pytest.mark.parametrize("role", ALSO_BROKEN, ids=label)
def test_every_flow_survives_a_fault(role: Role, fault: Fault) -> None:
    """The same for each other flow, while another request saves, and while one ends the session."""
    for other in (r.SAVE, r.DESTROY):
        assert not all(_strike(role, fault, at, other, Atomic) for at in range(_STEPS))
