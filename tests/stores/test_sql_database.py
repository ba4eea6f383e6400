"""The SQL store's statements, and its handling of a server that fails, stops, or blocks."""

from __future__ import annotations

import itertools
import secrets
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support import disk
from support.capabilities import keys_of
from support.fixtures import Given
from support.servers import Server
from support.sql import fresh_database, url_of

from holdfast.clock import system_clock
from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.stores.sql import SQLStore, sessions_table
from holdfast.testing import FakeClock, Fault, Link

KEY = "0" * 64
FAR = 4_000_000_000_000

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture
def store(sql_url: str) -> Iterator[SQLStore]:
    """Return a store on an empty database, by turns on each kind."""
    with closing(SQLStore.from_url(sql_url, root=Path.cwd())) as store:
        yield store


@pytest.fixture(params=SERVERS)
def linked(request: pytest.FixtureRequest) -> Iterator[tuple[Link, SQLStore]]:
    """Return a store on a server, and the link it goes through."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    with fresh_database(server) as url, closing(Link(server.address)) as link:
        through = sa.make_url(url).set(port=link.port).render_as_string(hide_password=False)
        with closing(SQLStore.from_url(through, root=Path.cwd())) as store:
            yield link, store


def needs_to_itself(server: Server) -> None:
    """Skip the test on a shared server: others may use it."""
    if isinstance(server, Given):
        pytest.skip("a server that is only lent to the tests is not set up by them, and not counted on")


# --- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.mariadb
def test_a_call_is_one_command_at_the_server(mariadb_server: Server, mariadb_url: str) -> None:
    """With a connection by a URL or by the application's engine, only statements are sent."""
    needs_to_itself(mariadb_server)
    watch = sa.create_engine(url_of(mariadb_server))

    def commands() -> int:
        with watch.connect() as connection:
            return int(connection.execute(sa.text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1])

    engine = sa.create_engine(mariadb_url)
    with closing(SQLStore.from_url(mariadb_url, root=Path.cwd())) as own, closing(SQLStore(engine)) as lent:
        for store in (own, lent):
            store.delete(KEY)
            version = store.create(KEY, b"data", expires_at=FAR)
            assert version is not None
            calls: list[Callable[[], object]] = [
                partial(store.load, KEY),
                partial(store.touch, KEY, expires_at=FAR + 1),
                partial(store.replace, KEY, b"more", expect=version, expires_at=FAR),
                partial(keys_of, store, "ada"),
                partial(store.delete, KEY),
                partial(store.create, KEY, b"data", expires_at=FAR),
            ]
            alone = -commands() + commands()
            for call in calls:
                before = commands()
                call()
                assert commands() - before - alone == 1
    engine.dispose()
    watch.dispose()


# --- whose connections -----------------------------------------------------------------------------------------------


def test_an_application_that_uses_all_its_connections_does_not_stop_its_sessions(sql_url: str) -> None:
    """The store connects as the application does, on connections of its own, and closes no other."""
    engine = sa.create_engine(sql_url, pool_size=1, max_overflow=0, pool_timeout=0.1, poolclass=sa.QueuePool)
    made: list[object] = []
    sa.event.listen(engine, "connect", lambda connection, _: made.append(connection))
    with engine.connect() as held, closing(SQLStore(engine)) as store:
        held.execute(sa.text("SELECT 1"))
        assert store.create(KEY, b"data", expires_at=FAR) is not None
        assert held.connection.dbapi_connection is made[0]
        assert len(made) == 2
        store.close()
        held.execute(sa.text("SELECT 1"))
    engine.dispose()


def test_memory_is_shared_between_threads() -> None:
    """On a SQLite database in memory, which is in one connection, threads see the same records."""
    with closing(SQLStore.from_url("sqlite+pysqlite://", root=Path.cwd())) as store, ThreadPoolExecutor(4) as pool:
        keys = [f"{number:064x}" for number in range(40)]
        made = list(pool.map(lambda key: store.create(key, b"data", expires_at=FAR), keys))
        assert None not in made
        assert all(pool.map(store.load, keys))


def test_a_file_that_the_url_does_not_name_is_kept_to(tmp_path: Path) -> None:
    """An engine that connects by a function of the application's is asked, and its file holds the sessions."""
    path = tmp_path / "sealed.db"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(path, check_same_thread=False))
    with (
        closing(SQLStore(engine)) as store,
        closing(SQLStore.from_url(f"sqlite+pysqlite:///{path}", root=tmp_path)) as file,
    ):
        store.create(KEY, b"data", expires_at=FAR)
        assert file.load(KEY) is not None
    engine.dispose()


FORKED = """
import os, sys, warnings
from pathlib import Path
from holdfast.stores.sql import SQLStore

store = SQLStore.from_url(sys.argv[1], root=Path.cwd())
version = store.create("0" * 64, b"0", expires_at=2**42)
children = []
for number in range(1, 4):
    pid = os.fork()
    if pid == 0:
        made = store.create(f"{number:064x}", b"child", expires_at=2**42)
        for _ in range(20):
            assert store.load("0" * 64).version
        os._exit(0 if made else 1)
    children.append(pid)
for number in range(100):
    version = store.replace("0" * 64, b"%d" % number, expect=version, expires_at=2**42)
    assert isinstance(version, int), version
print(*(os.waitpid(pid, 0)[1] for pid in children), store.load("0" * 64).data.decode())
print(*(store.load(f"{number:064x}").data.decode() for number in range(1, 4)))
store.close()
"""


def test_a_forked_child_shares_no_connection(sql_url: str) -> None:
    """Children forked from a process that uses the store work, and neither disturb it nor end its connections."""
    assert disk.run(FORKED, sql_url).split() == ["0", "0", "0", "99", "child", "child", "child"]


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["load", "touch", "find", "scan", "purge", "ping"])
def test_connections_that_ended_while_idle_cost_no_error(linked: tuple[Link, SQLStore], call: str) -> None:
    """When the server closed the connections while nothing was asked, the next read connects anew and succeeds."""
    link, store = linked
    version = store.create(KEY, b"data", expires_at=FAR)
    assert version is not None
    pings: Callable[[], object] = store.ping
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(KEY) is not None,
        "touch": lambda: store.touch(KEY, expires_at=FAR + 1),
        "find": lambda: keys_of(store, "ada") == [],
        "scan": lambda: len(store.scan().items) == 1,
        "purge": lambda: store.purge(system_clock()) == 0,
        "ping": lambda: pings() is None,
    }
    with link.disturb(Fault.DOWN):
        pass
    assert calls[call]() is True


def test_a_write_whose_answer_is_lost_is_an_error(linked: tuple[Link, SQLStore]) -> None:
    """When the answer to a new record or a save is lost, the store raises, and writes nothing a second time."""
    link, store = linked
    store.load(KEY)
    with link.disturb(Fault.REPLY_LOST), pytest.raises(StoreUnavailable):
        store.create(KEY, b"data", expires_at=FAR)
    record = store.load(KEY)
    assert record is not None
    with link.disturb(Fault.REPLY_LOST), pytest.raises(StoreUnavailable):
        store.replace(KEY, b"more", expect=record.version, expires_at=FAR)
    assert (after := store.load(KEY)) is not None
    assert after.data == b"more"


def test_a_deletion_whose_answer_is_lost_is_an_error(linked: tuple[Link, SQLStore]) -> None:
    """A repeated deletion would find no record, so the store raises that the result is unknown."""
    link, store = linked
    store.create(KEY, b"data", expires_at=FAR)
    with link.disturb(Fault.REPLY_LOST), pytest.raises(StoreUnavailable):
        store.delete(KEY)
    assert store.load(KEY) is None


@pytest.mark.parametrize("kind", SERVERS)
def test_an_error_shows_no_session(kind: str, request: pytest.FixtureRequest) -> None:
    """The log of an error, including the driver's own, contains neither the key nor the data."""
    url: str = request.getfixturevalue(f"{kind}_url")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        sessions_table().create(connection)
        connection.execute(sa.text("ALTER TABLE holdfast_sessions ADD COLUMN extra INTEGER NOT NULL"))
        if kind == "mariadb":
            connection.execute(sa.text("ALTER TABLE holdfast_sessions ALTER COLUMN extra DROP DEFAULT"))
    key, data = "5ec2e7" * 10 + "abcd", b"a secret that is kept"
    with closing(SQLStore(engine)) as store, pytest.raises(StoreUnavailable) as caught:
        store.create(key, data, expires_at=FAR)
    logged = "".join(traceback.format_exception(caught.value))
    assert key not in logged
    assert "secret" not in logged
    engine.dispose()


@pytest.mark.mariadb
def test_a_server_whose_limit_is_lowered_refuses_whole(mariadb_server: Server, mariadb_url: str) -> None:
    """Where the server takes less than when it was asked, a larger record is RecordTooLarge, and the old one stays."""
    needs_to_itself(mariadb_server)
    admin = sa.create_engine(url_of(mariadb_server), isolation_level="AUTOCOMMIT")
    with closing(SQLStore.from_url(mariadb_url, root=Path.cwd())) as store, admin.connect() as connection:
        version = store.create(KEY, b"data", expires_at=FAR)
        assert version is not None
        limit = connection.execute(sa.text("SELECT @@global.max_allowed_packet")).scalar_one()
        try:
            connection.execute(sa.text("SET GLOBAL max_allowed_packet = 1048576"))
            store.close()
            with pytest.raises(RecordTooLarge):
                store.replace(KEY, bytes(2_000_000), expect=version, expires_at=FAR)
            with pytest.raises(RecordTooLarge):
                store.create("1" * 64, b"a" * 1_048_000, expires_at=FAR)
        finally:
            connection.execute(sa.text(f"SET GLOBAL max_allowed_packet = {limit}"))
        record = store.load(KEY)
        assert record is not None
        assert (record.data, record.version) == (b"data", version)
        assert store.load("1" * 64) is None
    admin.dispose()


@pytest.mark.parametrize("linked", SERVERS[:1], indirect=True)
def test_no_call_waits_long_however_many_there_are(linked: tuple[Link, SQLStore]) -> None:
    """While the server is silent, more threads than there are connections all hear of it within seconds."""
    link, store = linked
    store.load(KEY)

    def wait(_: int) -> float:
        start = time.monotonic()
        with suppress(StoreUnavailable):
            store.load(KEY)
        return time.monotonic() - start

    with link.disturb(Fault.SILENT), ThreadPoolExecutor(14) as pool:
        waits = list(pool.map(wait, range(14)))
    assert max(waits) < 8
    assert store.load(KEY) is None


def fill(url: str, count: int) -> None:
    """Put *count* expired records into the table at *url*."""
    engine = sa.create_engine(url)
    rows = [
        {"key": f"{number * 7919 % count:063x}0", "version": 1, "expires_at": 1, "purge_at": 1, "data": b"d" * 200}
        for number in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(sessions_table().insert(), rows)
    engine.dispose()


WAITING = {
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_statement_that_the_server_gave_up_for_another_is_repeated(kind: str, request: pytest.FixtureRequest) -> None:
    """A call that the server ends because it and another wait for each other is made again, and succeeds."""
    url: str = request.getfixturevalue(f"{kind}_url")
    # The server gives up the one that has written less, or with PostgreSQL the first that looks for such a wait.
    looks = {"options": "-c deadlock_timeout=3s"} if kind == "postgresql" else {}
    engine = sa.create_engine(sa.make_url(url).update_query_dict(looks))
    watch, t = sa.create_engine(url, isolation_level="AUTOCOMMIT"), sessions_table()
    lock = t.update().values(version=2)
    with ExitStack() as stack:
        for each in (engine, watch):
            stack.callback(each.dispose)
        store = stack.enter_context(closing(SQLStore(engine)))
        pool, other = stack.enter_context(ThreadPoolExecutor(1)), stack.enter_context(engine.connect())
        store.ping()
        fill(url, 2)
        heavy = [
            {"key": f"f{n:063x}", "version": 1, "expires_at": FAR, "purge_at": FAR, "data": b""} for n in range(50)
        ]
        if looks:
            other.execute(sa.text("SET deadlock_timeout = '1min'"))
        other.execute(t.insert(), heavy)
        other.execute(lock.where(t.c.key == f"{1:063x}0"))
        purging = pool.submit(store.purge, system_clock())
        with watch.connect() as connection:
            while not connection.execute(sa.text(WAITING[kind])).scalar_one():
                assert not purging.done()
        other.execute(lock.where(t.c.key == f"{0:063x}0"))
        other.commit()
        assert purging.result() == 2


# --- the purge -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
def test_a_purge_does_not_hold_up_traffic(kind: str, request: pytest.FixtureRequest) -> None:
    """While a thousand records are removed by two at once, new records, saves and ends go on; each goes once."""
    url: str = request.getfixturevalue(f"{kind}_url")
    store = SQLStore.from_url(url, root=Path.cwd())
    store.ping()
    fill(url, 1000)
    waits: list[float] = []
    stop = threading.Event()

    def timed(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        start = time.monotonic()
        answer = call(*arguments, **named)
        waits.append(time.monotonic() - start)
        assert isinstance(answer, int)
        return answer

    def work(last: str) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            key = f"{number:063x}{last}"
            version = timed(store.create, key, b"data", expires_at=FAR)
            timed(store.replace, key, b"more", expect=version, expires_at=FAR)
            timed(store.delete, key)

    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(work, last) for last in ("7", "f")]
        try:
            removed = sum(pool.map(lambda _: store.purge(system_clock(), limit=1000), range(2)))
        finally:
            stop.set()
        for worker in busy:
            worker.result()
    sys.stdout.write(f"{kind}: {len(waits)} calls during the purge, the longest took {max(waits) * 1000:.0f} ms\n")
    assert removed == 1000
    assert store.purge(system_clock()) == 0
    assert len(waits) > 20
    store.close()


def test_a_purge_that_comes_upon_the_living_looks_later(sql_url: str, tmp_path: Path) -> None:
    """A record that was saved since it was made costs the purge one look, and none again before it expires."""
    clock = FakeClock(system_clock() - 100_000)
    with closing(SQLStore.from_url(sql_url, root=tmp_path, clock=clock)) as store:
        version = store.create(KEY, b"data", expires_at=clock() + 1000)
        assert version is not None
        store.replace(KEY, b"more", expect=version, expires_at=clock() + 60_000)
        assert store.purge(clock() + 2000) == 0
        assert store.purge(clock() + 59_999) == 0
        assert store.load(KEY) is not None
        assert store.purge(clock() + 60_000) == 1


@pytest.mark.postgresql
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_database_of_postgresql_without_an_encoding(postgresql_server: Server, driver: str) -> None:
    """In SQL_ASCII, an old default, sessions work as in any other encoding."""
    name = f"test_{secrets.token_hex(8)}"
    engine = sa.create_engine(url_of(postgresql_server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0")
    url = url_of(postgresql_server, database=name).replace("+psycopg:", f"+{driver}:")
    with closing(SQLStore.from_url(url, root=Path())) as store:
        assert store.create("ab" * 32, b"\xff\0", expires_at=2**41, owner="ada") is not None
        assert [record.data for _, record in store.find("ada").items] == [b"\xff\0"]
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.mark.parametrize("after", ["é", "\0", "\ud800"], ids=ascii)
def test_a_position_that_no_column_of_keys_holds_is_refused(sql_url: str, after: str) -> None:
    """A walk from a position that was made up is an error of its own, and not an outage."""
    with closing(SQLStore.from_url(sql_url, root=Path.cwd())) as store:
        with pytest.raises(ValueError, match="no page ends at such a position"):
            store.scan(after)
        assert store.scan("x").items == ()
