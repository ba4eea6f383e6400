"""Where the storm blows: each store on its real server, the faults that it has, and how long the service may need.

A fault is a context manager: it is there inside the block. `PLACES` has all places by name.
"""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from storm.line import Line
from support.servers import Server, ask, start_redis

from holdfast.testing import Fault

Faults = dict[str, Callable[[], AbstractContextManager[object]]]


@dataclass
class Place:
    """A store that runs.

    Attributes:
        url: Its URL.
        faults: What can be done to it.
        indexed: Whether it can end all sessions of a user.
        folder: A folder of its own.
    """

    url: str
    folder: Path
    faults: Faults = field(default_factory=dict)
    indexed: bool = True


#: The seconds within which every request is answered again after a fault, where `BACK` has no row of its own.
USUALLY_BACK = 3.0

#: The same for one fault of one place, with the reason.
BACK: dict[tuple[str, str], tuple[float, str]] = {}


@dataclass(frozen=True)
class Declared:
    """What the engine of a place cannot promise.

    Attributes:
        place: The name of the place; ``*`` is every place.
        fault: The kind of fault after which it may happen; ``*`` is any moment.
        rules: The rules that it breaks.
        margin: For how many seconds before the fault what was acknowledged may be lost.
        reason: What happens.
    """

    place: str
    fault: str
    rules: frozenset[str]
    margin: float
    reason: str


_LOSS = frozenset(
    {"change lost", "empty session", "coupon given to nobody", "coupon given twice", "alive after its end"}
)
_FOREVER = float("inf")

#: All that is declared: it is counted and printed, and is no violation.
DECLARED = [
    Declared(
        "*",
        "*",
        frozenset({"overtaken on the wire"}),
        _FOREVER,
        "an answer that was sent before a login's arrives after it, and its cookie stays in the jar",
    ),
]


# --- files -----------------------------------------------------------------------------------------------------------


def _sqlite(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    file = folder / "sessions.db"

    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    return Place(f"sqlite:///{file}", folder, {"locked": locked, "no room": lambda: _no_room(workers)})


def _files(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    return Place(f"file:///{folder}/sessions", folder, {"no room": lambda: _no_room(workers)})


@contextmanager
def _no_room(workers: Callable[[], list[int]]) -> Iterator[None]:
    """Let no worker write beyond the first bytes of a file, as on a full disk."""
    _limit_files(workers(), 64)
    try:
        yield
    finally:
        _limit_files(workers(), resource.RLIM_INFINITY)


def _limit_files(pids: list[int], size: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# --- servers ---------------------------------------------------------------------------------------------------------


def _of_line(line: Line) -> Faults:
    @contextmanager
    def forgotten() -> Iterator[None]:
        line.forget()
        yield

    return {
        "connections cut": lambda: line.cutting(0.1),
        "connections refused": lambda: line.disturb(Fault.DOWN),
        "connections silent": lambda: line.disturb(Fault.SILENT),
        "connections forgotten": forgotten,
        "answers slow": lambda: line.slow(0.15),
        "answers lost": lambda: line.losing(0.2),
    }


def _of_server(server: Server, prefix: str = "server") -> Faults:
    @contextmanager
    def paused() -> Iterator[None]:
        server.pause()
        try:
            yield
        finally:
            server.resume()

    @contextmanager
    def restarted() -> Iterator[None]:
        server.restart()
        yield

    @contextmanager
    def killed() -> Iterator[None]:
        server.kill()
        try:
            yield
        finally:
            server.restart()

    return {f"{prefix} paused": paused, f"{prefix} restarted": restarted, f"{prefix} killed": killed}


def _redis(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    # It writes each change to its file before it answers, so that the death of the process loses nothing.
    server = start_redis("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
    stack.callback(server.stop)
    line = stack.enter_context(closing(Line(server.address, seed)))

    @contextmanager
    def full() -> Iterator[None]:
        ask(server.address, b"CONFIG SET maxmemory 1\r\n")
        try:
            yield
        finally:
            ask(server.address, b"CONFIG SET maxmemory 0\r\n")

    faults = {**_of_line(line), **_of_server(server), "no room": full}
    return Place(f"redis://127.0.0.1:{line.port}/0", folder, faults)


# --- all of them -----------------------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[ExitStack, Path, Callable[[], list[int]], str], Place]] = {
    "sqlite": _sqlite,
    "files": _files,
    "redis": _redis,
}
