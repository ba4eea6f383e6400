"""A store's findings about its server or folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.everywhere import KINDS, url_of_kind
from support.servers import start_redis

from holdfast.clock import system_clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import ChecksHealth, Closes, HealthFinding
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.stores.pair import PairStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

KEY = 64 * "a"

#: The subjects of each kind's checks.
NAMES = {
    "memory": {"durability"},
    "sqlite": {"indexes", "permissions"},
    "files": {"permissions"},
    "json": {"permissions"},
    "redis": {"eviction", "durability", "clock", "expiry"},
    "memcached": {"eviction"},
    "mongodb": {"indexes", "durability", "clock"},
    "mariadb": {"indexes", "clock"},
    "postgresql": {"indexes", "clock"},
}

Open = Callable[..., Any]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Return a function that opens the store at a URL. The stores are closed at the end."""
    stores: list[Any] = []

    def make(url: str, **options: Any) -> Any:
        stores.append(open_store(url, **options))
        return stores[-1]

    yield make
    for store in stores:
        if isinstance(store, Closes):
            store.close()


def by_name(store: Any) -> dict[str, HealthFinding]:
    """Return what *store* finds, by name, after one record was made in it."""
    assert isinstance(store, ChecksHealth)
    store.create(KEY, b"data", expires_at=system_clock() + 60_000, owner="o")  # type: ignore[attr-defined]
    found = list(store.check_health())
    assert len({finding.name for finding in found}) == len(found)
    return {finding.name: finding for finding in found}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()])
def test_a_new_store_is_as_it_should_be(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, opened: Open
) -> None:
    """A store in use has no fault, it checks the subjects of its kind, and each finding has a text."""
    found = by_name(opened(url_of_kind(kind, request, tmp_path)))
    assert found.keys() == NAMES[kind]
    for finding in found.values():
        assert finding.ok is not False
        assert finding.found
        assert bool(finding.fix) is (finding.ok is None)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()])
def test_examining_writes_nothing(kind: str, request: pytest.FixtureRequest, tmp_path: Path, opened: Open) -> None:
    """A record is the same before and after."""
    store = opened(url_of_kind(kind, request, tmp_path))
    by_name(store)
    before = store.load(KEY)
    store.check_health()
    assert store.load(KEY) == before


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=KINDS[kind]) for kind in ("redis", "mongodb", "mariadb", "postgresql")]
)
def test_a_clock_that_is_off_is_told(kind: str, request: pytest.FixtureRequest, tmp_path: Path, opened: Open) -> None:
    """An hour between this machine and the server is a finding, with its direction."""
    clock = FakeClock()
    store = opened(url_of_kind(kind, request, tmp_path), clock=clock)
    for seconds, words in ((-3600, r"3[56]\d\d s ahead of"), (3600, r"3[56]\d\d s behind")):
        clock.advance_ms(system_clock() + seconds * 1000 - clock())
        (found,) = [each for each in store.check_health() if each.name == "clock"]
        assert found.ok is False
        assert re.search(words, found.found)
        assert "NTP" in found.fix


@pytest.mark.parametrize("kind", ["sqlite", "files", "json"])
def test_what_others_can_read_is_told(kind: str, request: pytest.FixtureRequest, tmp_path: Path, opened: Open) -> None:
    """A file or a folder that other users may read is named, with the command that closes it, which works."""
    store = opened(url_of_kind(kind, request, tmp_path))
    by_name(store)
    store.path.chmod(0o755)
    (found,) = [each for each in store.check_health() if each.name == "permissions"]
    assert found.ok is False
    assert found.found == f"{store.path} has the mode 0755"
    command, mode, path = found.fix.split()
    assert command == "chmod"
    Path(path).chmod(int(mode, 8))
    assert [each.ok for each in store.check_health() if each.name == "permissions"] == [True]


def test_a_record_file_that_others_can_read_is_told(tmp_path: Path, opened: Open) -> None:
    """A record's own file is looked at too."""
    store = opened(f"file:///{tmp_path}/sessions?mode=644")
    assert by_name(store)["permissions"].found == f"{store.path}/aa/{KEY} has the mode 0644"


def test_a_missing_index_is_told(tmp_path: Path, opened: Open) -> None:
    """A dropped index of the SQLite file is named."""
    store = opened(f"sqlite:///{tmp_path}/sessions.db")
    by_name(store)
    store._run(lambda connection: connection.execute("DROP INDEX sessions_owner"))
    found = {each.name: each for each in store.check_health()}
    assert (found["indexes"].ok, found["indexes"].found) == (False, "there is none on owner")


def test_a_missing_index_of_a_table_is_told(sql_url: str, opened: Open) -> None:
    """A dropped index of the table is named, with the command for the statements."""
    import sqlalchemy as sa

    store = opened(sql_url)
    by_name(store)
    (index,) = [index for index in store._table.indexes if "purge_at" in index.columns]
    engine = sa.create_engine(sql_url)
    with engine.begin() as connection:
        index.drop(connection)
    engine.dispose()
    found = {each.name: each for each in store.check_health()}
    assert (found["indexes"].ok, found["indexes"].found) == (False, "there is none on purge_at")
    assert "holdfast ddl" in found["indexes"].fix


@pytest.mark.mongodb
def test_a_missing_ttl_index_is_told(request: pytest.FixtureRequest, tmp_path: Path, opened: Open) -> None:
    """A dropped TTL index is reported: what has expired is not found by an index. The application still removes it."""
    store = opened(url_of_kind("mongodb", request, tmp_path))
    by_name(store)
    store._collection().drop_index("expires_at_1")
    found = {each.name: each for each in store.check_health()}
    assert (found["indexes"].ok, found["indexes"].found) == (False, "there is none on expires_at")


@pytest.mark.redis
def test_a_redis_that_drops_sessions_is_told(
    request: pytest.FixtureRequest, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """A memory limit with an eviction policy is a fault; an append-only file is none; foreign keys stay for ever.

    The first session of a user that a process keeps there is logged with it.
    """
    options = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes")
    server = start_redis(*options)
    request.addfinalizer(server.stop)
    store = opened(server.url)
    for number in range(2):
        store.create(f"{number:064x}", b"", expires_at=2**45, owner="ada")
        store.delete(f"{number:064x}")
    assert [record.getMessage() for record in caplog.records] == [
        "Redis: allkeys-lru: a full server drops sessions, and records that end others: set maxmemory-policy noeviction"
    ]
    found = by_name(store)
    assert (found["eviction"].ok, found["eviction"].fix) == (False, "maxmemory-policy noeviction")
    assert found["durability"].ok is True
    store._client.set(store._name(64 * "b"), b"for ever")
    assert {each.name: each.found for each in store.check_health()}["expiry"] == "1 of 2 records have none"


@pytest.mark.redis
def test_every_node_of_a_cluster_is_asked(request: pytest.FixtureRequest, opened: Open) -> None:
    """Of several servers the worst finding of each name is reported, once."""
    server = request.getfixturevalue("redis_cluster_server")
    assert by_name(opened(server.url)).keys() == NAMES["redis"]


def test_a_server_that_does_not_tell_is_no_fault() -> None:
    """If the server denies permission, a person must check, and the rest is reported."""
    from holdfast.stores.redis.health import about_server

    class NoPermissionError(Exception):
        pass

    def ask(*_: str) -> Any:
        raise StoreUnavailable("no") from NoPermissionError()

    assert {finding.name: finding.ok for finding in about_server(ask, FakeClock())} == {
        "eviction": None,
        "durability": None,
    }


def test_a_cache_and_a_pair_pass_the_question_on(tmp_path: Path, opened: Open) -> None:
    """A near cache has its store's findings, a pair those of both, each with which store it is about."""
    sqlite = opened(f"sqlite:///{tmp_path}/sessions.db")
    assert by_name(NearCache(sqlite)).keys() == NAMES["sqlite"]
    pair: Any = PairStore(sqlite, MemoryStore())
    names = [each.name for each in pair.check_health()]
    assert names == ["indexes, new store", "permissions, new store", "durability, old store"]
