"""Where the storm blows: each store on its real server, and the faults that it has.

A fault is a context manager: it is there inside the block. `PLACES` has all places by name.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from storm.failovers import Faults, cluster_faults, replica_set_faults, sentinel_faults
from storm.line import Line
from support.databases import (
    start_dynalite,
    start_mariadb,
    start_mongo_replica_set,
    start_mongod,
    start_pgbouncer,
    start_postgres,
)
from support.servers import Server, ask, start_cluster, start_memcached, start_redis, start_sentinel
from support.sql import url_of

from holdfast.testing import Fault


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
    return {
        "connections cut": lambda: line.cutting(0.1),
        "connections refused": lambda: line.disturb(Fault.DOWN),
        "connections silent": lambda: line.disturb(Fault.SILENT),
        "connections forgotten": line.forgetting,
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


def _sentinel(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    group = start_sentinel()
    stack.callback(group.stop)
    return Place(f"{group.url}?timeout=1", folder, sentinel_faults(group))


def _cluster(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    group = start_cluster()
    stack.callback(group.stop)
    return Place(f"{group.url}?timeout=1", folder, cluster_faults(group))


def _postgresql(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    server = start_postgres("synchronous_commit=on")
    stack.callback(server.stop)
    line = stack.enter_context(closing(Line(server.address, seed)))
    url = f"postgresql+psycopg://postgres@127.0.0.1:{line.port}/postgres"
    return Place(url, folder, {**_of_line(line), **_of_server(server)})


def _pgbouncer(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    server = start_postgres("synchronous_commit=on")
    stack.callback(server.stop)
    pooler = start_pgbouncer(server, connections=8)
    stack.callback(pooler.stop)
    line = stack.enter_context(closing(Line(pooler.address, seed)))
    url = pooler.url.replace(str(pooler.address[1]), str(line.port))
    return Place(url, folder, {**_of_line(line), **_of_server(server), **_of_server(pooler, "pooler")})


def _mariadb(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    # The log reaches the system at each commit, so that the death of the process loses nothing.
    server = start_mariadb("--innodb-flush-log-at-trx-commit=2")
    stack.callback(server.stop)
    line = stack.enter_context(closing(Line(server.address, seed)))
    return Place(url_of(server, port=line.port), folder, {**_of_line(line), **_of_server(server)})


def _mongodb(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    server = start_mongod()
    stack.callback(server.stop)
    line = stack.enter_context(closing(Line(server.address, seed)))
    return Place(f"mongodb://127.0.0.1:{line.port}/holdfast", folder, {**_of_line(line), **_of_server(server)})


def _mongodb_set(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    group = start_mongo_replica_set()
    stack.callback(group.stop)
    return Place(group.url, folder, replica_set_faults(group))


def _dynamodb(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    # Unlike moto's, this one keeps its tables in files.
    server = start_dynalite("--path", str(folder / "tables"))
    stack.callback(server.stop)
    line = stack.enter_context(closing(Line(server.address, seed)))
    url = server.url.replace(str(server.address[1]), str(line.port))
    return Place(url, folder, {**_of_line(line), **_of_server(server)})


def _memcached(stack: ExitStack, folder: Path, workers: Callable[[], list[int]], seed: str) -> Place:
    server = start_memcached("-m", "8")
    stack.callback(server.stop)
    line = stack.enter_context(closing(Line(server.address, seed)))

    @contextmanager
    def filled() -> Iterator[None]:
        with socket.create_connection(server.address) as connection:
            for number in range(300):
                connection.sendall(b"set other%d 0 0 40000 noreply\r\n%b\r\n" % (number, b"x" * 40_000))
        yield

    faults = {**_of_line(line), **_of_server(server), "filled by others": filled}
    return Place(f"memcached://127.0.0.1:{line.port}", folder, faults, indexed=False)


# --- all of them -----------------------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[ExitStack, Path, Callable[[], list[int]], str], Place]] = {
    "sqlite": _sqlite,
    "files": _files,
    "redis": _redis,
    "sentinel": _sentinel,
    "cluster": _cluster,
    "postgresql": _postgresql,
    "pgbouncer": _pgbouncer,
    "mariadb": _mariadb,
    "mongodb": _mongodb,
    "mongodb-set": _mongodb_set,
    "dynamodb": _dynamodb,
    "memcached": _memcached,
}
