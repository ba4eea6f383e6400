"""The parts of flows, and the driver that runs them."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from support.opening import open_session

import holdfast.sessions
from holdfast.errors import StoreUnavailable
from holdfast.metrics.observer import OPERATIONS
from holdfast.records.tokens import new_token
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import Flow, drive, load, pause
from holdfast.sessions.state import SessionState
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore

_SESSIONS = Path(inspect.getfile(holdfast.sessions)).parent

#: A call of each helper, and an attribute that no answer of it has.
_PLANTED = {
    "load": ('load("k")', "envelope"),
    "create": ('create("k", b"", 1)', "version"),
    "replace": ('replace("k", b"", 1, 2)', "current"),
    "touch": ('touch("k", 1)', "expires_at"),
    "delete": ('delete("k")', "owner"),
    "move": ('move(Rotation("k", "l", b"", b"", expect=1, expires_at=2, grace_until=2))', "current"),
    "find": ('find("o", None, 1)', "records"),
    "scan": ("scan(None, 1)", "records"),
    "confirm": ('confirm("k")', "confirmed"),
    "purge": ("purge(1, 2)", "count"),
    "now": ("now()", "text"),
    "discard": ("discard({})", "count"),
}


def _pausing() -> Flow[str]:
    yield from pause(0)
    return "done"


def _careful() -> Flow[str]:
    try:
        yield from load("k")
    except StoreUnavailable:
        return "caught"
    return "loaded"


def test_a_pause_is_the_drivers_to_make() -> None:
    """The driver waits and goes on; the store is not called."""
    assert drive(_pausing(), object()) == "done"


def test_a_store_error_is_raised_inside_the_flow() -> None:
    """A flow can answer to an outage; one that does not passes it on."""
    store = FailingStore(MemoryStore())
    store.fail("load")
    assert drive(_careful(), store) == "caught"
    store.fail("load")
    with pytest.raises(StoreUnavailable):
        drive(open_session(Manager(store).context, SessionState(0), new_token()), store)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_type_checker_knows_each_answer(tmp_path: Path) -> None:
    """An attribute that the answer of a store call does not have is a type error, for every call."""
    pytest.importorskip("mypy")
    assert _PLANTED.keys() == set(OPERATIONS)
    imports = "from holdfast.records.record import Rotation; from holdfast.sessions.ops import Flow, "
    lines = [imports + ", ".join(_PLANTED), "def flow() -> Flow[None]:"]
    lines += [f"    _{name} = (yield from {call}).{wrong}" for name, (call, wrong) in _PLANTED.items()]
    (tmp_path / "planted.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", "--cache-dir=cache"]
    ran = subprocess.run(
        [*command, "planted.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(_SESSIONS.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    reported = {
        int(line.split(":")[1]) for line in ran.stdout.splitlines() if "[attr-defined]" in line or "[union" in line
    }
    assert reported == set(range(3, 3 + len(_PLANTED))), ran.stdout + ran.stderr


def test_no_flow_asks_a_store_without_a_type() -> None:
    """The flows call the store through the typed helpers only: outside of `Call` no code in `sessions` yields."""
    yields = {
        (path.name, node.lineno)
        for path in _SESSIONS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Yield)
    }
    assert {name for name, _ in yields} == {"ops.py"}
    assert len(yields) == 1
