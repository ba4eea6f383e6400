"""What takes the place of a store's file or folder while it runs, and what a new file there means."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import Closes, Pings
from holdfast.stores.registry import open_store
from holdfast.stores.sql import SQLStore

KEY, FAR = "ab" * 32, 2**50
SCHEMES = ["sqlite", "sqlite+pysqlite", "json", "file"]


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


#: What may be made at the path of a store instead of it.
OTHERS: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a FIFO": os.mkfifo,
    "a socket": _socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a circle of links": lambda path: path.symlink_to(path),
    "another program's file": lambda path: path.write_text("notes, and no sessions at all " * 100),
}


@contextmanager
def used(scheme: str, path: Path) -> Iterator[Any]:
    """Give the store of *scheme* at *path*, which has a record."""
    store = open_store(f"{scheme}:///{path}")
    with closing(store) if isinstance(store, Closes) else nullcontext():
        assert store.create(KEY, b"data", expires_at=FAR) is not None
        yield store


@pytest.mark.parametrize("scheme", ["json", "file"])
def test_a_file_that_seems_missing_while_it_is_replaced(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On FUSE an open that overlaps a rename finds no file, though one was always there: its record is found."""
    opened, names = os.open, list[Any]()

    def late(path: Any, *arguments: Any) -> int:
        if str(path).endswith((KEY, "sessions")) and names.count(path) < 3:
            names.append(path)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return opened(path, *arguments)

    with used(scheme, tmp_path / "kept" / "sessions") as store, monkeypatch.context() as patch:
        patch.setattr(os, "open", late)
        assert store.load(KEY) is not None
        assert len(names) == 3


def remove(path: Path) -> None:
    """Remove everything in the folder of *path*."""
    for each in path.parent.iterdir():
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()


@pytest.mark.parametrize(
    ("scheme", "other"), [pair for pair in product(SCHEMES, OTHERS) if pair != ("file", "a folder")]
)
def test_another_type_of_file_in_its_place(scheme: str, other: str, tmp_path: Path) -> None:
    """It is no outage: the error names the path and what to do, for reads, writes and readiness."""
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "s"
    with used(scheme, path) as store:
        remove(path)
        OTHERS[other](path)
        for call in (lambda: store.load(KEY), lambda: store.delete(KEY), store.ping):
            with pytest.raises(StoreUnavailable) as caught:
                call()
            said = f"{caught.value}: {caught.value.reason}"
            assert caught.value.permanent, said
            assert str(path) in said
            if other != "a circle of links":
                assert "move it away" in said or "not a database" in said


def test_a_file_in_place_of_a_folder_of_records(tmp_path: Path) -> None:
    """No record below it is taken for one that was deleted, which would sign its user out."""
    with used("file", tmp_path / "s") as store:
        folder = tmp_path / "s" / KEY[:2]
        shutil.rmtree(folder)
        folder.write_text("")
        for call in (lambda: store.load(KEY), lambda: store.delete(KEY), store.scan):
            with pytest.raises(StoreUnavailable) as caught:
                call()
            assert caught.value.permanent


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_link_to_a_disk_that_is_not_mounted(scheme: str, tmp_path: Path) -> None:
    """Where the target and its folder are gone, nothing is made in their place: no session ends."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    for folder in (disk, kept):
        folder.mkdir()
    path = kept / "s"
    path.symlink_to(disk / "s")
    with used(scheme, path) as store:
        assert (disk / "s").stat().st_mode & 0o077 == 0
        disk.rename(tmp_path / "away")
        if scheme == "file":
            disk.write_text("")  # a folder would be made
        with pytest.raises(StoreUnavailable) as caught:
            store.load(KEY)
        if scheme != "file":
            assert not caught.value.permanent
            assert str(disk) in f"{caught.value.reason}{path.readlink()}"
            assert not disk.exists()
        disk.unlink(missing_ok=True)
        (tmp_path / "away").rename(disk)
        assert store.load(KEY) is not None


@pytest.mark.parametrize("by", ["url", "engine"])
def test_a_replaced_file_is_used_at_once(by: str, tmp_path: Path) -> None:
    """Through SQLAlchemy too, a file that was put there by a restore is the store; a deleted one is made anew."""
    path, other = tmp_path / "s.db", tmp_path / "other.db"
    with used("sqlite+pysqlite", other) as source:
        source.create("cd" * 32, b"restored", expires_at=FAR)
    engine = sa.create_engine(f"sqlite:///{path}")
    opened: Any = SQLStore(engine, max_connections=2) if by == "engine" else open_store(f"sqlite+pysqlite:///{path}")
    with closing(opened) as store:
        store.create(KEY, b"data", expires_at=FAR)
        other.replace(path)
        assert store.load("cd" * 32).data == b"restored"
        path.unlink()
        assert store.load(KEY) is None
        assert store.create(KEY, b"again", expires_at=FAR) is not None
        assert path.stat().st_mode & 0o777 == 0o600
        assert isinstance(store, Pings)
        store.ping()
    engine.dispose()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not report SQLite's code of it")
def test_a_file_that_is_moved_during_a_write(tmp_path: Path) -> None:
    """SQLite calls it read-only for the connection: the next call opens what is there, so it is an outage."""
    path = tmp_path / "s"

    def write(connection: sa.Connection) -> None:
        delete = sa.text("DELETE FROM holdfast_sessions")
        connection.execute(delete)
        path.rename(tmp_path / "away")
        connection.execute(delete)

    with used("sqlite+pysqlite", path) as store:
        with pytest.raises(StoreUnavailable) as caught:
            store.ask(write)
        assert "readonly" in caught.value.reason
        assert not caught.value.permanent
        assert store.create(KEY, b"data", expires_at=FAR) is not None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """A disk at ``disk`` in the temporary folder; the function mounts it again with an option."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options: str) -> None:
        done = subprocess.run(["mount", *options, place], check=False, capture_output=True)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode()}")

    mount("-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs")
    yield lambda option: mount("-o", f"remount,{option}")
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_disk_that_becomes_read_only(scheme: str, tmp_path: Path, disk: Callable[[str], None]) -> None:
    """Saves and readiness fail with an error that names it and does not pass by itself, until it is writable again."""
    with used(scheme, tmp_path / "disk" / "s") as store:
        if isinstance(store, Closes):
            store.close()  # an open file cannot be made read-only by hand
        disk("ro")
        for call in (lambda: store.delete(KEY), store.ping, lambda: store.create("cd" * 32, b"more", expires_at=FAR)):
            with pytest.raises(StoreUnavailable, match="its permissions or its disk forbid it") as caught:
                call()
            assert caught.value.permanent
        disk("rw")
        assert store.create("cd" * 32, b"more", expires_at=FAR) is not None
        assert store.load(KEY).data == b"data"
