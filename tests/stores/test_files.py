"""The store of a folder of files: the contract, and what it alone promises."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from support import disk, seams
from support.capabilities import keys_of

from holdfast.clock import Clock
from holdfast.errors import StoreUnavailable
from holdfast.records.record import Gone
from holdfast.stores.contract import Rotates, Store
from holdfast.stores.files import FileStore
from holdfast.stores.shared.locks import locked
from holdfast.testing import FakeClock, Fault, StoreContract

KEY, OTHER = "ab" * 32, "cd" * 32
FOREVER = 2**50


class TestFileStore(StoreContract):
    """The contract, on a folder of files."""

    shared_between_processes = True

    def open_store(self, place: Path, clock: Clock) -> FileStore:
        """Return a store on the folder of the test."""
        return FileStore(place / "kept" / "sessions", clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object] | None:
        """Take the folder away."""
        return disk.taken_away(place / "kept" / "sessions") if fault is Fault.DOWN else None


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the test."""
    return FakeClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "sessions"


@pytest.fixture
def store(root: Path, clock: FakeClock) -> FileStore:
    """A store in its own folder."""
    return FileStore(root, clock=clock)


def file_of(root: Path, key: str) -> Path:
    """Return the file of a record."""
    return root / key[:2] / key


def data_at(store: FileStore, key: str) -> bytes | None:
    """Return the data of the live record under *key*."""
    record = store.load(key)
    return record.data if record else None


def test_nothing_is_made_before_the_first_use(store: FileStore, tmp_path: Path) -> None:
    """Making a store touches no file."""
    assert list(tmp_path.iterdir()) == []


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """With umask 000 every folder has mode 0700 and every file 0600."""
    with disk.umask(0):
        FileStore(tmp_path / "on the way" / "sessions").create(KEY, b"data", expires_at=FOREVER, owner="ada")
    for path, mode in disk.modes(tmp_path).items():
        assert mode == (0o700 if (tmp_path / path).is_dir() else 0o600), path


def test_the_mode_of_files_can_be_set(root: Path) -> None:
    """The records' files have the mode that was asked for, exactly, whatever the umask."""
    with disk.umask(0o077):
        FileStore(root, mode=0o664).create(KEY, b"data", expires_at=FOREVER)
    assert disk.modes(root)[f"ab/{KEY}"] == 0o664


@pytest.mark.parametrize(
    "key",
    [
        "",
        "..",
        "../" * 3 + "etc/passwd",
        "/etc/passwd",
        "C:\\" + "a" * 61,
        "CON",
        "~" * 64,
        "AB" * 32,
        "ab" * 32 + "\n",
        "ab" * 31 + "a\0",
        "\u0661" * 64,
        "a" * 300,
    ],
)
def test_only_a_key_becomes_a_path(key: str, store: FileStore, root: Path) -> None:
    """A key that is not 64 lower-case hex digits is refused before any file is touched."""
    for call in (store.load, store.delete):
        with pytest.raises(ValueError, match="64 lower-case hex digits"):
            call(key)
    assert not root.exists()


def symbolic_link(path: Path) -> None:
    """Make a link to a file outside."""
    outside = path.parents[2] / "outside"
    outside.write_bytes(b"outside")
    path.symlink_to(outside)


def unix_socket(path: Path) -> None:
    """Make a socket, which the length of its path allows only from its own folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def garbage(path: Path) -> None:
    """Make a foreign file."""
    path.write_bytes(b"\x80\x04\x95garbage that is longer than a header")


def too_short(path: Path) -> None:
    """Make a file that ends inside the header."""
    path.write_bytes(b"HFR1")


PLANTED: list[Callable[[Path], object]] = [symbolic_link, os.mkfifo, unix_socket, garbage, too_short]


@pytest.mark.parametrize("plant", [*PLANTED, Path.mkdir])
def test_what_is_planted_is_no_record(plant: Callable[[Path], object], store: FileStore, root: Path) -> None:
    """A link, a FIFO, a socket, a folder or a foreign file under a record's name is no session, and no error."""
    store.create(OTHER, b"data", expires_at=FOREVER)
    file_of(root, KEY).parent.mkdir()
    plant(file_of(root, KEY))
    assert store.load(KEY) is None
    assert store.replace(KEY, b"data", expect=1, expires_at=FOREVER) == Gone()
    assert store.touch(KEY, expires_at=FOREVER) is False
    assert [key for key, _ in store.scan().items] == [OTHER]
    assert store.purge(FOREVER + 1) == 1
    assert os.path.lexists(file_of(root, KEY))


@pytest.mark.parametrize("plant", PLANTED)
def test_create_takes_the_place_of_what_is_planted(
    plant: Callable[[Path], object], store: FileStore, root: Path, tmp_path: Path
) -> None:
    """`create` puts its own file there, and leaves alone what a link pointed to."""
    file_of(root, KEY).parent.mkdir(parents=True)
    plant(file_of(root, KEY))
    assert store.create(KEY, b"data", expires_at=FOREVER) is not None
    assert data_at(store, KEY) == b"data"
    assert not file_of(root, KEY).is_symlink()
    if (tmp_path / "outside").exists():
        assert (tmp_path / "outside").read_bytes() == b"outside"


def test_a_planted_folder_keeps_records_out(store: FileStore, root: Path) -> None:
    """Where a folder has a record's name, `create` raises: it could only be made by removing the folder."""
    file_of(root, KEY).mkdir(parents=True)
    with disk.refused(errno.EISDIR):
        store.create(KEY, b"data", expires_at=FOREVER)
    assert file_of(root, KEY).is_dir()


def test_a_half_written_expiry_is_read_again_behind_the_lock(
    store: FileStore, root: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that meets a touch halfway waits for it and returns the record."""
    store.create(KEY, b"data", expires_at=clock() + 1_000)
    whole = file_of(root, KEY).read_bytes()
    file_of(root, KEY).write_bytes(whole[:20] + b"\xff" * 4 + whole[24:])

    @contextmanager
    def locked_when_the_touch_is_done(path: Path) -> Iterator[None]:
        file_of(root, KEY).write_bytes(whole)
        with locked(path):
            yield

    seams.FILES_LOCKED.plant(monkeypatch, locked_when_the_touch_is_done)
    assert data_at(store, KEY) == b"data"


def test_touch_writes_no_data(store: FileStore, root: Path, clock: FakeClock) -> None:
    """`touch` changes only the expiry in the existing file."""
    store.create(KEY, b"data", expires_at=clock() + 1_000, owner="ada")
    before, inode = file_of(root, KEY).read_bytes(), file_of(root, KEY).stat().st_ino
    assert store.touch(KEY, expires_at=clock() + 2_000) is True
    after = file_of(root, KEY).read_bytes()
    assert file_of(root, KEY).stat().st_ino == inode
    assert (before[:16], before[28:]) == (after[:16], after[28:])


def test_rotation_is_left_to_the_core() -> None:
    """No file system changes two files at once for a reader without a lock, so the store does not claim to."""
    assert not isinstance(FileStore("anywhere"), Rotates)


def test_purge_sweeps_what_killed_writers_left(store: FileStore, root: Path) -> None:
    """A temporary file and an index mark without a record are removed by `purge`, and live ones stay."""
    store.create(KEY, b"data", expires_at=FOREVER, owner="ada")
    store.create(OTHER, b"data", expires_at=FOREVER, owner="bob")
    file_of(root, KEY).with_name(".temp").write_bytes(b"half a rec")
    file_of(root, OTHER).unlink()
    assert store.purge(0) == 0
    assert not file_of(root, KEY).with_name(".temp").exists()
    assert [mark.name for mark in (root / ".owners").glob("*/*/*")] == [KEY]
    assert keys_of(store, "ada") == [KEY]


def test_a_mark_without_a_record_is_forgotten_when_found(store: FileStore, root: Path) -> None:
    """A list of the owner's records removes the marks of those that vanished."""
    store.create(KEY, b"data", expires_at=FOREVER, owner="ada")
    store.create(OTHER, b"data", expires_at=FOREVER, owner="ada")
    file_of(root, OTHER).unlink()
    assert keys_of(store, "ada") == [KEY]
    assert [mark.name for mark in (root / ".owners").glob("*/*/*")] == [KEY]


def test_the_index_leaves_no_empty_folders(store: FileStore, root: Path) -> None:
    """When an owner's last session ends, no file of the owner is left."""
    store.create(KEY, b"data", expires_at=FOREVER, owner="ada")
    store.create(OTHER, b"data", expires_at=FOREVER, owner="ada")
    store.delete(KEY)
    assert keys_of(store, "ada") == [OTHER]
    store.delete(OTHER)
    assert list((root / ".owners").glob("*/*")) == []


def test_logins_and_logouts_of_one_owner_at_once(store: FileStore) -> None:
    """While an owner's index folder comes and goes, no login misses it."""

    def sign_in_and_out(number: int) -> None:
        for turn in range(10):
            key = f"{number:032x}{turn:032x}"
            store.create(key, b"data", expires_at=FOREVER, owner="ada")
            missing.extend([] if key in keys_of(store, "ada") else [key])
            store.delete(key)

    missing: list[str] = []
    threads = [threading.Thread(target=sign_in_and_out, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert keys_of(store, "ada") == []


def test_a_full_disk_is_an_outage_that_changes_nothing(store: FileStore, root: Path) -> None:
    """With no room for a record, create and replace raise, leave the old one whole, and no temporary file."""
    version = store.create(KEY, b"data", expires_at=FOREVER, owner="ada")
    assert version is not None
    with disk.no_room_for_files_over(1_000):
        with disk.refused(errno.EFBIG):
            store.create(OTHER, bytes(5_000), expires_at=FOREVER)
        with disk.refused(errno.EFBIG):
            store.replace(KEY, bytes(5_000), expect=version, expires_at=FOREVER, owner="bob")
    assert data_at(store, KEY) == b"data"
    assert store.load(OTHER) is None
    assert keys_of(store, "ada") == [KEY]
    assert "bob" not in {record.owner for _, record in store.find("bob").items}
    assert list(root.rglob(".temp")) == []
    assert isinstance(store.replace(KEY, bytes(5_000), expect=version, expires_at=FOREVER), int)


def test_no_message_shows_a_key(store: FileStore, root: Path) -> None:
    """A fault's message names the folder, and not the file, whose name is the key."""
    file_of(root, KEY).mkdir(parents=True)
    with pytest.raises(StoreUnavailable) as caught:
        store.create(KEY, b"data", expires_at=FOREVER)
    said = f"{caught.value} {caught.value.__cause__}"
    assert str(root) in said
    assert KEY not in said


def test_a_deleted_folder_is_made_anew(store: FileStore, root: Path) -> None:
    """When the folder is deleted, the next use makes it, empty."""
    store.create(KEY, b"data", expires_at=FOREVER)
    shutil.rmtree(root)
    assert store.load(KEY) is None
    assert store.create(KEY, b"new", expires_at=FOREVER) is not None
    assert data_at(store, KEY) == b"new"


def test_an_unmounted_disk_is_no_empty_store(tmp_path: Path) -> None:
    """When the path leads to another device on which the folder is missing, that is an outage until it is back."""
    (tmp_path / "disk").mkdir()
    mount = tmp_path / "mount"
    mount.symlink_to(tmp_path / "disk")
    store = FileStore(mount / "sessions")
    store.create(KEY, b"data", expires_at=FOREVER)
    with disk.folder_on_another_device(tmp_path) as other_device:
        mount.unlink()
        mount.symlink_to(other_device)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="another device"):
                store.load(KEY)
        assert list(other_device.iterdir()) == []
        mount.unlink()
        mount.symlink_to(tmp_path / "disk")
    assert data_at(store, KEY) == b"data"


def test_killed_writers_tear_and_lose_nothing(root: Path) -> None:
    """Thirty writers killed while they save leave no torn record, every confirmed step, and no rest after a purge."""
    found = disk.kill_writers(f"file:///{root}", kills=30, seed=2)
    assert found.pop("confirmed") > 30
    assert found == {"kills": 30, "torn": 0, "lost": 0}
    store = FileStore(root)
    store.purge(0)
    assert list(root.rglob(".temp")) == []
    assert {mark.name for mark in (root / ".owners").glob("*/*/*")} == {key for key, _ in store.scan().items}


def test_a_lock_held_too_long_is_an_outage(tmp_path: Path) -> None:
    """Waiting for a lock ends, and the lock can be had again when it is free."""
    path = tmp_path / "lock"
    with locked(path), pytest.raises(StoreUnavailable, match="others hold the lock"), locked(path, timeout=0.01):
        pass
    with locked(path, timeout=0):
        pass


def test_a_lock_is_released_where_its_file_cannot_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk while a lock's file is closed keeps no lock, and is no error of what the lock was for."""
    path, close = tmp_path / "lock", os.close

    def close_badly(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close_badly)
        with locked(path):
            pass
    with locked(path, timeout=0):
        pass


def test_one_who_locks_again_and_again_lets_others_in(tmp_path: Path) -> None:
    """A thread that releases a lock only to take it again is not alone with it."""
    path, others, enough = tmp_path / "lock", threading.Event(), threading.Event()

    def hog() -> None:
        while not enough.is_set():
            with locked(path):
                others.wait(0.02)

    hogs = [threading.Thread(target=hog) for _ in range(2)]
    for thread in hogs:
        thread.start()
    for _ in range(10):
        with locked(path, timeout=2):
            pass
    enough.set()
    for thread in hogs:
        thread.join()


def test_a_deleted_lock_file_lets_nobody_in_beside_the_next(tmp_path: Path) -> None:
    """A client that waits for a lock whose file is deleted takes the lock of the new file, like all others."""
    path = tmp_path / "lock"
    entered = threading.Event()

    def wait_and_enter() -> None:
        with locked(path):
            entered.set()

    waiter = threading.Thread(target=wait_and_enter)
    with locked(path):
        waiter.start()
        path.unlink()
        waiter.join()
        assert entered.is_set()
        with locked(path):
            assert path.exists()


def test_a_lock_is_free_though_a_child_was_forked_inside(tmp_path: Path) -> None:
    """A child forked while the lock was held does not keep it."""
    code = """
import os, sys, time
from pathlib import Path
from holdfast.stores.shared.locks import locked

path = Path(sys.argv[1])
reading, writing = os.pipe()
with locked(path):
    child = os.fork()
    if child == 0:
        os.read(reading, 1)
        os._exit(0)
with locked(path, timeout=0):
    print("free")
os.write(writing, b"x")
os.waitpid(child, 0)
"""
    assert disk.run(code, tmp_path / "lock") == "free\n"


def test_without_posix_locks_the_error_says_so(tmp_path: Path) -> None:
    """On a system without fcntl the two file stores are refused with the way out, and SQLite works."""
    code = """
import sys
from pathlib import Path
sys.modules["fcntl"] = None
from holdfast.errors import ConfigurationError
from holdfast.stores.registry import open_store

for url in ("file:///sessions", "json:///sessions.json"):
    try:
        open_store(url, root=Path(sys.argv[1]))
    except ConfigurationError as error:
        assert "fcntl" in str(error) and "sqlite:///" in str(error), error
        print("refused")
open_store("sqlite:///sessions.db", root=Path(sys.argv[1])).load("ab" * 32)
"""
    assert disk.run(code, tmp_path) == "refused\nrefused\n"
