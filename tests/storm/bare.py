"""The bare driver of each store, asked beside the workers: how long the server, or the machine, takes after a fault.

`probe_of` returns a function that is served once, on a connection of its own, or raises within about `LIMIT` seconds.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from storm.history import Probe
from support.dynamodb import client_of

#: The seconds that a call of a driver may take. Those of the stores may take as long.
LIMIT = 2

_PAUSE = 0.1

Ask = Callable[[], object]


@contextlib.contextmanager
def probing(url: str) -> Iterator[list[Probe]]:
    """Ask the bare driver again and again inside the block, and yield what came of it."""
    ask, over, probes = probe_of(url), threading.Event(), list[Probe]()
    ask()  # without a fault it is served

    def run() -> None:
        while not over.wait(_PAUSE):
            sent, served = time.monotonic(), True
            try:
                ask()
            except Exception:  # noqa: BLE001  # each driver has classes of its own
                served = False
            probes.append(Probe(sent, time.monotonic(), served=served))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield probes
    finally:
        over.set()
        thread.join()


def probe_of(url: str) -> Ask:
    """Return what asks the server at a store's *url* once."""
    scheme, _, rest = url.partition("://")
    name = scheme.partition("+")[0] if scheme.startswith(("postgresql", "mariadb")) else scheme
    return _DRIVERS[name](url, rest.partition("?")[0])


def _sqlite(_url: str, rest: str) -> Ask:
    def ask() -> None:
        with closing(sqlite3.connect(rest.removeprefix("/"), timeout=LIMIT, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")

    return ask


def _file(_url: str, rest: str) -> Ask:
    return lambda: Path(rest.removeprefix("/")).with_name("probe").write_bytes(b"x" * 1000)


def _redis(url: str, _rest: str) -> Ask:
    import redis

    def ask() -> None:
        with closing(redis.Redis.from_url(url, socket_timeout=LIMIT, socket_connect_timeout=LIMIT)) as client:
            client.set("probe", "x")

    return ask


def _sentinel(_url: str, rest: str) -> Ask:
    from redis.sentinel import Sentinel

    make: Any = Sentinel

    def ask() -> None:
        sentinel = make(_addresses(rest.partition("/")[0]), socket_timeout=LIMIT)
        try:
            with closing(sentinel.master_for("holdfast", socket_timeout=LIMIT)) as client:
                client.set("probe", "x")
        finally:
            for helper in sentinel.sentinels:
                helper.close()

    return ask


def _cluster(_url: str, rest: str) -> Ask:
    from redis.cluster import ClusterNode, RedisCluster

    node: Any = ClusterNode

    def ask() -> None:
        nodes = [node(*address) for address in _addresses(rest.partition("/")[0])]
        with closing(RedisCluster(startup_nodes=nodes, socket_timeout=LIMIT)) as client:
            for number in range(8):  # so that each primary has one
                client.set(f"probe{number}", "x")

    return ask


def _postgresql(url: str, _rest: str) -> Ask:
    import psycopg

    address = f"postgresql://{url.partition('://')[2]}?connect_timeout={LIMIT}"

    def ask() -> None:
        with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("SELECT pg_current_xact_id()")

    return ask


def _mariadb(url: str, _rest: str) -> Ask:
    import pymysql

    parts = urlsplit(url)

    def ask() -> None:
        with pymysql.connect(
            host="127.0.0.1",
            port=parts.port or 0,
            user="root",
            connect_timeout=LIMIT,
            read_timeout=LIMIT,
            write_timeout=LIMIT,
        ) as connection:
            connection.cursor().execute("SELECT 1")

    return ask


def _mongodb(url: str, _rest: str) -> Ask:
    import pymongo

    def ask() -> None:
        client: pymongo.MongoClient[dict[str, Any]]
        with pymongo.MongoClient(url, timeoutMS=LIMIT * 1000) as client:
            client["probes"]["probe"].update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)

    return ask


def _memcached(_url: str, rest: str) -> Ask:
    from pymemcache import Client

    def ask() -> None:
        with closing(Client(*_addresses(rest), connect_timeout=LIMIT, timeout=LIMIT)) as client:
            client.set("probe", "x", noreply=False)

    return ask


def _dynamodb(url: str, _rest: str) -> Ask:
    client = client_of(url, connect_timeout=LIMIT, read_timeout=LIMIT, retries={"total_max_attempts": 1})
    ask: Ask = client.list_tables
    return ask


def _addresses(hosts: str) -> Sequence[tuple[str, int]]:
    return [(host, int(port)) for host, _, port in (each.partition(":") for each in hosts.split(","))]


_DRIVERS: dict[str, Callable[[str, str], Ask]] = {
    "sqlite": _sqlite,
    "file": _file,
    "redis": _redis,
    "redis+sentinel": _sentinel,
    "redis+cluster": _cluster,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "mongodb": _mongodb,
    "memcached": _memcached,
    "dynamodb": _dynamodb,
}
