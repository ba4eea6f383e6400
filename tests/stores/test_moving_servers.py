"""A name that leads to another server than before, connections that are lost, and more callers than connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support import seams
from support.databases import start_mariadb, start_postgres
from support.keyspace import prefix_of
from support.moving import Name
from support.servers import Server, free_port, start_redis
from support.sql import url_of

from holdfast.errors import StoreUnavailable
from holdfast.stores.registry import open_store

FAR = 4_000_000_000_000
KEY = "ab" * 32


def read_only_postgres(server: Server) -> None:
    """Let a PostgreSQL server take no writes, as a replica does, also on connections that are open."""
    import psycopg

    with psycopg.connect(f"host=127.0.0.1 port={server.address[1]} user=postgres", autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")  # until other connections know, too


def read_only_mariadb(server: Server) -> None:
    """Let a MariaDB server take no writes of ordinary users."""
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=server.address[1], user="root") as connection:
        connection.cursor().execute("SET GLOBAL read_only = 1")


def read_only_redis(server: Server) -> None:
    """Turn a Redis server into a replica of nobody who answers."""
    import redis

    with redis.Redis(port=server.address[1]) as connection:
        connection.execute_command("REPLICAOF", "127.0.0.1", 1)


def cut_off_redis(server: Server) -> None:
    """Turn a Redis server into a replica that answers nothing without its primary."""
    import redis

    with redis.Redis(port=server.address[1]) as connection:
        connection.config_set("replica-serve-stale-data", "no")
        connection.execute_command("REPLICAOF", "127.0.0.1", 1)


def start_galera() -> Server:
    """Start MariaDB as the only node of a Galera cluster."""
    gossip = f"127.0.0.1:{free_port()}"
    return start_mariadb(
        "--wsrep-on=ON",
        "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
        "--wsrep-new-cluster",
        "--wsrep-cluster-address=gcomm://",
        f"--wsrep-provider-options=base_host=127.0.0.1;gmcast.listen_addr=tcp://{gossip};ist.recv_addr={gossip}",
        "--binlog-format=ROW",
    )


def drain_galera(server: Server) -> None:
    """Let a node take no statement of anybody, also on connections that are open."""
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=server.address[1], user="root") as connection:
        connection.cursor().execute("SET GLOBAL wsrep_reject_queries = ALL")


def through_psycopg2(server: Server) -> str:
    """Return the URL of *server* for the other driver."""
    return url_of(server).replace("psycopg", "psycopg2")


def plain_user(server: Server) -> str:
    """Return the URL of *server* for a user whom MariaDB's read_only concerns."""
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=server.address[1], user="root") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY ''")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON holdfast.* TO plain@'%'")
    return url_of(server).replace("root@", "plain@")


def redis_url(server: Server) -> str:
    """Return the URL of *server* over TCP."""
    return f"redis://127.0.0.1:{server.address[1]}"


KINDS: dict[str, tuple[Callable[[], Server], Callable[[Server], None], Callable[[Server], str]]] = {
    "redis": (start_redis, read_only_redis, redis_url),
    "postgresql": (start_postgres, read_only_postgres, url_of),
    "postgresql+psycopg2": (
        start_postgres,
        read_only_postgres,
        through_psycopg2,
    ),
    "mariadb": (start_mariadb, read_only_mariadb, plain_user),
    # Servers that answer nothing any more, and keep their connections.
    "redis+cut off": (start_redis, cut_off_redis, redis_url),
    "mariadb+galera": (start_galera, drain_galera, plain_user),
}


ALL = [pytest.param(kind, marks=getattr(pytest.mark, kind.partition("+")[0])) for kind in KINDS]
EACH = ALL[:-2]


@pytest.fixture(params=ALL)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[list[Server], Callable[[Server], None], list[str]]]:
    """Two servers of a kind, what takes the writes of one away, and their URLs."""
    start, take_away, url = KINDS[request.param]
    with ExitStack() as stack:
        servers = [start() for _ in range(2)]
        for server in servers:
            stack.callback(server.stop)
        yield servers, take_away, [url(server) for server in servers]


@pytest.fixture(params=EACH)
def named(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Name, str]]:
    """A name that leads to a server of a kind, and the URL of an empty place there, by that name."""
    kind = request.param.partition("+")[0]
    server: Server = request.getfixturevalue(f"{kind}_server")
    if kind == "redis":
        url = f"{redis_url(server)}?prefix={prefix_of(tmp_path)}"
    else:
        url = request.getfixturevalue(f"{kind}_url")
    if request.param.endswith("psycopg2"):
        url = url.replace("psycopg", "psycopg2")
    with closing(Name(server.address)) as name:
        yield name, url.replace(f":{server.address[1]}", f":{name.port}")


def test_a_name_that_moves_from_a_server_that_takes_no_writes_any_more(pair: Any, tmp_path: Path) -> None:
    """The first call that is refused drops all connections and is tried on a new one: nothing fails."""
    servers, take_away, urls = pair
    with closing(Name(servers[0].address)) as name:
        through = urls[0].replace(f":{servers[0].address[1]}", f":{name.port}")
        store: Any
        with closing(open_store(through, root=tmp_path)) as store:  # type: ignore[type-var]
            together([lambda: store.load(KEY)] * 4)
            take_away(servers[0])
            name.move(servers[1].address)
            assert store.load(KEY) is None
            assert store.create(KEY, b"data", expires_at=FAR, owner="ada") is not None
            for _ in range(8):
                assert store.touch(KEY, expires_at=FAR + 1)
                assert store.load(KEY) is not None


@pytest.mark.parametrize("kind", [kind for kind in EACH if "redis" not in str(kind.values)])
def test_reads_that_a_replica_answers(kind: str) -> None:
    """It may lack the last ends, so a new store serves nothing from it; it may become a primary: an outage."""
    start, take_away, url = KINDS[kind]
    with ExitStack() as stack:
        server = start()
        stack.callback(server.stop)
        store: Any
        with closing(open_store(url(server))) as store:  # type: ignore[type-var]
            assert store.create(KEY, b"data", expires_at=FAR) is not None
        if kind.startswith("postgresql"):
            (server.folder / "data" / "standby.signal").touch()
            server.restart()
        else:
            take_away(server)
        with closing(open_store(url(server))) as store:  # type: ignore[type-var]
            with pytest.raises(StoreUnavailable, match="a replica answers") as caught:
                store.load(KEY)
            assert not caught.value.permanent


def test_connections_that_were_idle_for_minutes_are_not_used_again(
    named: tuple[Name, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a firewall has dropped six of them, no call waits for an answer that never comes."""
    name, url = named
    store: Any
    with closing(open_store(url, root=tmp_path)) as store:  # type: ignore[type-var]
        together([lambda: store.load(KEY)] * 6)
        name.lose()
        seams.LONGEST_IDLE_CONNECTION.plant(monkeypatch, 0.0)
        start = time.monotonic()
        together([lambda: store.load(KEY)] * 6)
        assert store.create(KEY, b"data", expires_at=FAR) is not None
        assert time.monotonic() - start < 2


@pytest.mark.parametrize("limit", [2, 10])
def test_callers_wait_for_their_turn(named: tuple[Name, str], tmp_path: Path, limit: int) -> None:
    """150 threads at once share a few connections, which is the URL's limit, and none is refused."""
    name, url = named
    mark = "&" if "?" in url else "?"
    store: Any
    with closing(open_store(f"{url}{mark}max_connections={limit}", root=tmp_path)) as store:  # type: ignore[type-var]
        store.load(KEY)
        together([lambda: store.load(KEY)] * 150)
        assert 1 < name.opened <= limit + 1


def together(calls: list[Callable[[], object]]) -> None:
    """Make all *calls* at once, each in a thread, and raise the first error."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
