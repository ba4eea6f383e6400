"""The connections of an SQL store: kept between statements where the pool is its own, and replaced in time."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from support import seams

from holdfast.clock import system_clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.sql import SQLStore

KEY = "5" * 64
FAR = system_clock() + 3_600_000


@pytest.fixture
def checkouts() -> Iterator[list[object]]:
    """The connections that were taken from pools."""
    found: list[object] = []

    def note(connection: object, *_: object) -> None:
        found.append(connection)

    sa.event.listen(sa.Pool, "checkout", note)
    yield found
    sa.event.remove(sa.Pool, "checkout", note)


def opened(place: Path, *, max_connections: int | None) -> SQLStore:
    """Return a store that is in use."""
    engine = sa.create_engine(f"sqlite+pysqlite:///{place}/sql.db")
    store = SQLStore(engine, max_connections=max_connections)
    assert store.create(KEY, b"data", expires_at=FAR) is not None
    return store


def test_a_connection_is_kept_for_the_next_call(tmp_path: Path, checkouts: list[object]) -> None:
    """A store with a pool of its own asks that for a connection once, not at each call."""
    store = opened(tmp_path, max_connections=2)
    checkouts.clear()
    assert [store.load(KEY) is not None for _ in range(5)] == [True] * 5
    assert checkouts == []
    store.close()
    assert store.load(KEY) is not None
    assert len(checkouts) == 1
    store.close()


def test_first_uses_at_once_wait_for_their_turns(tmp_path: Path) -> None:
    """Of more threads than connections none waits at the pool, which gets none back that is kept for the next call."""
    engine = sa.create_engine(f"sqlite+pysqlite:///{tmp_path}/sql.db", pool_size=1, max_overflow=0, pool_timeout=1)
    store, together = SQLStore(engine, max_connections=1), threading.Barrier(8)

    def first_use(_: int) -> object:
        together.wait()
        return store.load(KEY)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(first_use, range(8))) == [None] * 8
    assert store.missing() is None
    store.close()


def test_an_application_s_pool_gets_each_back(tmp_path: Path, checkouts: list[object]) -> None:
    """With an engine of the application's, its pool decides at each call."""
    store = opened(tmp_path, max_connections=None)
    checkouts.clear()
    assert [store.load(KEY) is not None for _ in range(5)] == [True] * 5
    assert len(checkouts) == 5
    store.close()


def test_an_idle_connection_is_replaced(
    tmp_path: Path, checkouts: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was idle for long is closed, and another one takes its place."""
    store = opened(tmp_path, max_connections=2)
    first = checkouts[-1]
    seams.LONGEST_IDLE_CONNECTION.plant(monkeypatch, -1.0)
    checkouts.clear()
    assert store.load(KEY) is not None
    assert len(checkouts) == 1
    assert checkouts[0] is not first
    monkeypatch.undo()
    store.close()


def test_a_failed_statement_keeps_no_connection(tmp_path: Path, checkouts: list[object]) -> None:
    """After a statement that failed, the pool looks at the connection first."""
    store = opened(tmp_path, max_connections=2)
    checkouts.clear()
    assert store.create(KEY, b"other", expires_at=FAR) is None  # the key is taken: an error of the database
    assert len(checkouts) == 1
    store.close()


@pytest.mark.mariadb
def test_the_authorities_of_the_system_are_read_once(
    mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them takes PyMySQL longer than a request, with TLS or without; a file of the URL's may be replaced."""
    read: list[object] = []
    sound = ssl.create_default_context

    def note(*, cafile: object, **_: object) -> ssl.SSLContext:
        read.append(cafile)
        return sound()

    monkeypatch.setattr(ssl, "create_default_context", note)
    store = SQLStore.from_url(mariadb_url, root=Path.cwd())
    assert store.ask(lambda one: store.ask(lambda other: other.connection is not one.connection))
    assert read == [None]
    store.close()
    own = tmp_path / "own.pem"
    own.touch()
    given = SQLStore.from_url(sa.make_url(mariadb_url).update_query_dict({"ssl_ca": str(own)}), root=Path.cwd())
    for _ in range(2):
        with pytest.raises(StoreUnavailable):  # the server has no TLS
            given.ping()
    assert read == [None, str(own), str(own)]


_OTHERS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()",
}
_END = {"postgresql": "SELECT pg_terminate_backend(:id)", "mariadb": "KILL :id"}


@pytest.mark.parametrize("max_connections", [2, None], ids=["kept", "of the application's pool"])
@pytest.mark.parametrize(
    "server",
    [
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def test_a_connection_that_the_server_closed_while_idle_is_no_error(
    request: pytest.FixtureRequest, server: str, max_connections: int | None
) -> None:
    """Also for what cannot be repeated: a save, the session of a login, a deletion."""
    engine = sa.create_engine(request.getfixturevalue(f"{server}_url"))
    store = SQLStore(engine, max_connections=max_connections)
    version = store.create(KEY, b"data", expires_at=FAR)
    assert version is not None
    calls: list[Callable[[], object]] = [
        lambda: store.replace(KEY, b"new", expect=version, expires_at=FAR),
        lambda: store.create("6" * 64, b"data", expires_at=FAR),
        lambda: store.delete(KEY),
        store.now,
    ]
    for call in calls:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while others := connection.execute(sa.text(_OTHERS[server])).scalars().all():
                for each in others:
                    with suppress(sa.exc.DBAPIError):  # it has ended
                        connection.execute(sa.text(_END[server]), {"id": each})
        assert call()
    store.close()
    engine.dispose()
