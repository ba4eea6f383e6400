"""A save fails, or its answer is lost, at each of its steps in turn, while another request saves: applied once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from explorer import roles as r
from explorer.faults import Fault, unanswered, unreached
from explorer.search import Violation, explore
from explorer.stores import Atomic, Scattered
from explorer.world import Role, World
from support import seams

from holdfast.sessions.ops import Flow, load

_STEPS = 12


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


def _explore(
    role: Role, other: Role, fault: Fault, backend: type[Atomic] = Atomic, judge: Callable[[World], None] = judge
) -> None:
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
        _explore(role, other, fault, backend)


def test_a_write_that_does_not_know_itself_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ids of the last writes, a lost answer with another save in between is applied twice."""
    seams.WRITE_IS_APPLIED.plant(monkeypatch, lambda self, history: False)
    with pytest.raises(Violation, match="hits, and"):
        _explore(r.COUNT, r.COUNT, unanswered)


def test_a_lost_renewal_without_an_alias_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a renewal leaves no way from the old token, its lost answer costs the session."""
    seams.SEALED_SUCCESSOR.plant(monkeypatch, lambda old, new: None)
    with pytest.raises(Violation, match=r"are answered|opens nothing"):
        _explore(r.RENEW_AND_COUNT, r.COUNT, unanswered)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", [Atomic, Scattered])
@pytest.mark.parametrize("fault", [unreached, unanswered])
@pytest.mark.parametrize("role", [r.BIND, r.ROTATE, r.RENEW], ids=lambda role: role.name)
def test_one_failure_signs_nobody_out(role: Role, fault: Fault, backend: type[Atomic]) -> None:
    """Wherever the store fails a login, a rotation or a renewal once, a browser has a token that works."""
    for other in (r.READ, r.SAVE):
        _explore(role, other, fault, backend, some_token_works)


def test_a_login_that_gives_up_after_its_move_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a failure after the move is neither repeated nor postponed, it costs a signed-in user the session."""

    def give_up(*_: object) -> Flow[bool]:
        yield from load("nothing")
        return True

    def nothing(*_: object) -> Flow[None]:
        yield from ()

    seams.ROTATE_FINISH_LOGIN.plant(monkeypatch, give_up)
    seams.ROTATE_POSTPONE.plant(monkeypatch, nothing)
    with pytest.raises(Violation, match="no browser can open"):
        _explore(r.BIND, r.READ, unreached, judge=some_token_works)
