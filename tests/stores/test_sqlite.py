"""The SQLite store: the contract, and what it alone promises."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from support import disk

from holdfast.clock import Clock
from holdfast.errors import StoreError, StoreUnavailable
from holdfast.records.record import Conflict, Gone, Rotation
from holdfast.stores.contract import Store
from holdfast.stores.sqlite import SQLiteStore
from holdfast.testing import FakeClock, Fault, StoreContract

KEY, OTHER = "ab" * 32, "cd" * 32
FOREVER = 2**50


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Expect an outage inside the block, which SQLite's error *code* is the cause of, where Python knows it."""
    with pytest.raises(StoreUnavailable, match="cannot be used: ") as caught:
        yield
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    if sys.version_info >= (3, 11):
        assert caught.value.__cause__.sqlite_errorname == code


class TestSQLiteStore(StoreContract):
    """The contract, on SQLite: every client is a pool of its own on one file."""

    shared_between_processes = True
    max_bytes = 300_000
    # SQLite refuses what is longer than a limit, a gigabyte by default, which Python can lower since 3.11.
    too_large = 400_000 if sys.version_info >= (3, 11) else None

    def open_store(self, place: Path, clock: Clock) -> SQLiteStore:
        """Return a store on the file of the test."""
        store = SQLiteStore(place / "kept" / "sessions.db", clock=clock, timeout=2)
        prepare = store._connections._prepare

        def prepare_small(connection: sqlite3.Connection) -> None:
            prepare(connection)
            if sys.version_info >= (3, 11):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 400_000)

        store._connections._prepare = prepare_small
        return store

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object] | None:
        """Take the folder away, or let another program keep the whole file to itself."""
        if fault is Fault.DOWN:
            return disk.taken_away(place / "kept")
        if fault is Fault.SILENT:
            assert isinstance(store, SQLiteStore)
            return kept_by_another(store)
        return None


@contextmanager
def kept_by_another(store: SQLiteStore) -> Iterator[None]:
    """Let a connection outside of *store* have its file alone."""
    store._connections.pause()
    store._connections.resume()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the test."""
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the store."""
    return tmp_path / "kept" / "sessions.db"


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[SQLiteStore]:
    """A store on its own file."""
    with closing(SQLiteStore(path, clock=clock, timeout=0.1)) as opened:
        yield opened


def remove(path: Path) -> None:
    """Delete a database and what belongs to it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def data_at(store: SQLiteStore, key: str) -> bytes | None:
    """Return the data of the live record under *key*."""
    record = store.load(key)
    return record.data if record else None


def test_nothing_is_opened_before_the_first_use(store: SQLiteStore, tmp_path: Path) -> None:
    """Making a store touches no file; the first load makes the database."""
    assert list(tmp_path.iterdir()) == []
    assert store.load(KEY) is None
    assert (tmp_path / "kept" / "sessions.db").is_file()


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """With umask 000 the folders have mode 0700, and the database and its companions 0600."""
    path = tmp_path / "made" / "on the way" / "sessions.db"
    with disk.umask(0), closing(SQLiteStore(path)) as store:
        store.create(KEY, b"data", expires_at=FOREVER)
        files = {f"made/on the way/sessions.db{suffix}": 0o600 for suffix in ("", "-shm", "-wal")}
        assert disk.modes(tmp_path) == {"made": 0o700, "made/on the way": 0o700, **files}


def test_an_existing_file_keeps_its_mode(path: Path, store: SQLiteStore) -> None:
    """A database that was there, such as one shared with a group, keeps its permissions."""
    path.parent.mkdir()
    path.touch(0o640)
    store.create(KEY, b"data", expires_at=FOREVER)
    assert disk.modes(path.parent)["sessions.db"] == 0o640


def test_a_path_that_means_memory_to_sqlite_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the name ``:memory:`` is a file, and a relative path does not follow a later change of folder."""
    monkeypatch.chdir(tmp_path)
    with closing(SQLiteStore(":memory:")) as store:
        monkeypatch.chdir("/")
        store.create(KEY, b"data", expires_at=FOREVER)
    assert (tmp_path / ":memory:").is_file()


def test_a_new_file_is_opened_by_many_at_once(path: Path) -> None:
    """Stores that all make the same new database at the same moment all work."""
    stores = [SQLiteStore(path) for _ in range(8)]
    made: list[object] = []
    barrier = threading.Barrier(len(stores))

    def create(store: SQLiteStore, key: str) -> None:
        barrier.wait()
        made.append(store.create(key, b"data", expires_at=FOREVER))

    threads = [threading.Thread(target=create, args=(store, f"{number:064x}")) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(stores)
    assert None not in made
    for number, store in enumerate(stores):
        assert data_at(stores[0], f"{number:064x}") == b"data"
        if number:
            store.close()
    stores[0].close()


def test_threads_by_turns_need_one_connection(store: SQLiteStore) -> None:
    """Threads that work one after the other share a connection; closing closes it."""
    for _ in range(5):
        thread = threading.Thread(target=store.load, args=(KEY,))
        thread.start()
        thread.join()
    assert len(store._connections._open) == 1
    store.close()
    assert not store._connections._open


def test_a_closed_store_works_and_keeps_nothing_open(store: SQLiteStore) -> None:
    """After `close` every operation still works, on a connection of its own that it closes."""
    store.create(KEY, b"data", expires_at=FOREVER)
    store.close()
    assert data_at(store, KEY) == b"data"
    assert not store._connections._open


def test_a_forgotten_store_closes_its_connections(path: Path) -> None:
    """A store without references leaves no connection open."""
    store = SQLiteStore(path)
    store.load(KEY)
    connections = store._connections
    del store
    assert not connections._open


def test_a_version_of_another_kind_never_matches(store: SQLiteStore) -> None:
    """A text or bytes version, whatever it says, is a Conflict on a live record and Gone without one."""
    version = store.create(KEY, b"data", expires_at=FOREVER)
    for foreign in (str(version), str(version).encode()):
        assert isinstance(store.replace(KEY, b"x", expect=foreign, expires_at=FOREVER), Conflict)
        assert store.replace(OTHER, b"x", expect=foreign, expires_at=FOREVER) == Gone()
    assert data_at(store, KEY) == b"data"


def test_an_ended_record_stays_ended_when_the_clock_is_set_back(store: SQLiteStore, clock: FakeClock) -> None:
    """Deleting an expired record removes it, so that an earlier time does not bring it back."""
    store.create(KEY, b"data", expires_at=clock() + 1_000)
    clock.advance(2)
    assert store.delete(KEY) is False
    clock.advance(-2)
    assert store.load(KEY) is None


def test_purge_finds_what_was_touched_shortened_and_left(store: SQLiteStore, clock: FakeClock) -> None:
    """A purge of many records removes exactly the expired ones, however their expiry changed."""
    keys = [f"{number:064x}" for number in range(900)]
    for number, key in enumerate(keys):
        version = store.create(key, b"data", expires_at=clock() + 1_000)
        assert version is not None
        if number % 3 == 1:
            store.touch(key, expires_at=clock() + 60_000)
        if number % 3 == 2:
            longer = store.replace(key, b"data", expect=version, expires_at=clock() + 60_000)
            assert isinstance(longer, int)
            store.replace(key, b"data", expect=longer, expires_at=clock() + 500)
    clock.advance(2)
    assert store.purge(clock(), limit=5_000) == 600
    assert [key for key in keys if store.load(key)] == keys[1::3]
    clock.advance(60)
    assert store.purge(clock(), limit=5_000) == 300
    assert store.purge(clock()) == 0


def test_a_deleted_file_is_noticed_at_once(path: Path, store: SQLiteStore) -> None:
    """When the database is deleted, the next use makes a new one that every store sees; none writes to the old one."""
    store.create(KEY, b"data", expires_at=FOREVER)
    with closing(SQLiteStore(path)) as other:
        assert data_at(other, KEY) == b"data"
        remove(path)
        assert store.load(KEY) is None
        store.create(KEY, b"new", expires_at=FOREVER)
        assert data_at(other, KEY) == b"new"
    assert disk.modes(path.parent)["sessions.db"] == 0o600


def test_a_restored_file_is_noticed_at_once(path: Path, store: SQLiteStore) -> None:
    """When a backup is put in the place of the database, the next use reads it."""
    with closing(SQLiteStore(path.with_name("backup.db"))) as backup:
        backup.create(KEY, b"restored", expires_at=FOREVER)
    store.create(KEY, b"data", expires_at=FOREVER)
    remove(path)
    path.with_name("backup.db").rename(path)
    assert data_at(store, KEY) == b"restored"


def test_a_deleted_table_is_an_outage_and_then_made_anew(path: Path, store: SQLiteStore) -> None:
    """When the table is dropped, the operation that finds out raises, and the next one works."""
    store.create(KEY, b"data", expires_at=FOREVER)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE sessions")
    with refused("SQLITE_ERROR"):
        store.load(KEY)
    assert store.load(KEY) is None


def test_an_unmounted_disk_is_no_empty_store(tmp_path: Path) -> None:
    """When the path leads to another device on which the database is missing, that is an outage until it is back."""
    (tmp_path / "disk").mkdir()
    mount = tmp_path / "mount"
    mount.symlink_to(tmp_path / "disk")
    store = SQLiteStore(mount / "sessions.db")
    with disk.folder_on_another_device(tmp_path) as other_device, closing(store):
        store.create(KEY, b"data", expires_at=FOREVER)
        mount.unlink()
        mount.symlink_to(other_device)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="another device"):
                store.load(KEY)
        assert list(other_device.iterdir()) == []
        mount.unlink()
        mount.symlink_to(tmp_path / "disk")
        assert data_at(store, KEY) == b"data"


def test_a_full_disk_is_an_outage_that_changes_nothing(path: Path, store: SQLiteStore) -> None:
    """With no room for a record, create, replace and move raise and leave what was there; then they work again."""
    version = store.create(KEY, b"data", expires_at=FOREVER)
    assert version is not None

    def fill() -> None:
        connection = store._connections.take()
        connection.execute("PRAGMA max_page_count = 1")
        store._connections.give(connection)

    for write in (
        lambda: store.create(OTHER, bytes(100_000), expires_at=FOREVER),
        lambda: store.replace(KEY, bytes(100_000), expect=version, expires_at=FOREVER),
        lambda: store.move(Rotation(KEY, OTHER, bytes(100_000), b"", version, FOREVER, FOREVER)),
    ):
        fill()
        with refused("SQLITE_FULL"):
            write()
        assert data_at(store, KEY) == b"data"
        assert store.load(OTHER) is None
    assert isinstance(store.replace(KEY, bytes(100_000), expect=version, expires_at=FOREVER), int)


def test_a_damaged_file_is_an_outage(path: Path, store: SQLiteStore) -> None:
    """A file that is not a database raises on every operation, and is left as it is."""
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 1_000)
    for _ in range(2):
        with refused("SQLITE_NOTADB"):
            store.load(KEY)
    assert path.read_bytes() == b"not a database at all" * 1_000


def test_a_writer_that_holds_on_stops_writers_only(path: Path, store: SQLiteStore) -> None:
    """While another program keeps a transaction open, loads work, and saves raise when the timeout is over."""
    version = store.create(KEY, b"data", expires_at=FOREVER)
    assert version is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert data_at(store, KEY) == b"data"
        with refused("SQLITE_BUSY"):
            store.replace(KEY, b"new", expect=version, expires_at=FOREVER)
    assert isinstance(store.replace(KEY, b"new", expect=version, expires_at=FOREVER), int)


def test_no_message_shows_a_key_or_data(path: Path, store: SQLiteStore) -> None:
    """A fault's message names the file, and neither the key nor the data."""
    store.create(KEY, b"data", expires_at=FOREVER)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE sessions")
    with pytest.raises(StoreError) as caught:
        store.create(OTHER, b"secret", expires_at=FOREVER)
    said = f"{caught.value} {caught.value.__cause__}"
    assert str(path) in said
    assert OTHER not in said
    assert "secret" not in said


def test_killed_writers_tear_and_lose_nothing(path: Path) -> None:
    """Thirty writers killed while they save leave no torn record, and every step they confirmed."""
    found = disk.kill_writers(f"sqlite:///{path}", kills=30, seed=1)
    assert found.pop("confirmed") > 30
    assert found == {"kills": 30, "torn": 0, "lost": 0}


def test_the_log_of_a_large_write_does_not_stay(path: Path, store: SQLiteStore, clock: FakeClock) -> None:
    """After a large transaction the next saves bring the `-wal` file back to its limit."""
    log, until = path.with_name(f"{path.name}-wal"), clock() + 60_000
    store.create(KEY, bytes(40_000_000), expires_at=until)
    assert log.stat().st_size > 40_000_000
    for number in range(3):
        store.create(f"{number:064}", b"data", expires_at=until)
    assert log.stat().st_size <= 16 * 1024 * 1024


def test_a_store_that_another_program_keeps_for_itself_is_not_ready(tmp_path: Path) -> None:
    """While another program holds the lock of the file's writers, a ping is an outage, as every write is."""
    store = SQLiteStore(tmp_path / "kept.db", timeout=0)
    store.ping()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refused("SQLITE_BUSY"):
            store.ping()
    store.ping()
    store.close()
