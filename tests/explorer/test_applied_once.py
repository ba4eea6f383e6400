"""A save fails, or its answer is lost, at each of its steps in turn, while another request saves: applied once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from explorer import roles as r
from explorer.faults import Fault, unanswered, unreached
from explorer.search import explore
from explorer.stores import Atomic, Scattered
from explorer.world import Role, World

_STEPS = 24


def judge(world: World) -> None:
    """Check that each change is there once, unless its request was answered with an error: then once or not at all."""
    [session] = world.survivors
    answered = [name for name, answer in world.answers.items() if answer.result in ("saved", "merged")]
    failed = len(world.roles) - len(answered)
    hits, items = session.data.get("hits", 0), session.data.get("list", [])
    counted = [name for name in answered if "counts" in world.answers[name].role.marks]
    assert len(counted) <= hits <= len(counted) + failed, f"{hits} hits, and {counted} are answered"
    assert len(set(items)) == len(items), f"{items} has an item twice"
    appended = {name for name in answered if "appends" in world.answers[name].role.marks}
    assert appended <= set(items), f"{items}, and {appended} are answered"
    assert world.probe(world.tokens["here"]).stored is not None, "the token that the browser has opens nothing"


def some_token_works(world: World) -> None:
    """Check that a browser has a token that opens the session."""
    tokens = [world.tokens["here"], *(answer.token for answer in world.answers.values() if answer.token)]
    assert any(world.probe(token).stored for token in tokens), "no browser can open the session"


def explore_once(
    role: Role, other: Role, fault: Fault, backend: type[Atomic] = Atomic, judge: Callable[[World], None] = judge
) -> None:
    """Explore *role* with *fault* at each of its steps in turn, while *other* is at work."""
    for at in range(_STEPS):
        times: list[int] = []
        broken = replace(role, name=f"broken {role.name}", fault=fault(at, lambda: times.append(at)))  # noqa: B023
        explore(lambda: World((broken, other), backend, "alice", judge))  # noqa: B023
        if not times:
            return
    raise AssertionError("the role takes more steps")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", [Atomic, Scattered])
@pytest.mark.parametrize("fault", [unreached, unanswered])
@pytest.mark.parametrize("role", [r.COUNT, r.APPEND, r.RENEW_AND_COUNT], ids=lambda role: role.name)
def test_a_change_is_applied_once(role: Role, fault: Fault, backend: type[Atomic]) -> None:
    """Wherever the answer is lost, and whenever another request saves, no change is there twice, and no id is lost."""
    for other in (r.COUNT, r.APPEND):
        explore_once(role, other, fault, backend)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", [Atomic, Scattered])
@pytest.mark.parametrize("fault", [unreached, unanswered])
@pytest.mark.parametrize("role", [r.BIND, r.ROTATE, r.RENEW, r.END_OTHERS], ids=lambda role: role.name)
def test_one_failure_signs_nobody_out(role: Role, fault: Fault, backend: type[Atomic]) -> None:
    """Wherever the store fails a request that gives the session another token, a browser has one that works."""
    for other in (r.READ, r.SAVE):
        explore_once(role, other, fault, backend, some_token_works)
