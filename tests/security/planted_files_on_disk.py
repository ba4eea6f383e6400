"""Bugs that the tests in test_files_on_disk.py catch."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support import seams
from support.web import STRANGER

from holdfast.stores.files import FileStore


def the_id_is_a_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a session is the file of that name in the folder."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token)
    seams.FILES_PATH.plant(monkeypatch, lambda self, key: self.path / key)


def joined_safely_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie names the file, and only a path that leaves the folder is refused."""
    the_id_is_a_file_name(monkeypatch)

    def path(self: FileStore, key: str) -> Path:
        joined = Path(os.path.normpath(self.path / key.replace("\x00", "")))
        return joined if joined.is_relative_to(self.path) else self.path / "00" / STRANGER

    seams.FILES_PATH.plant(monkeypatch, path)


def follows_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbolic link in place of a record is followed."""
    seams.FILES_READ_FLAGS.plant(monkeypatch, os.O_RDONLY | os.O_NONBLOCK)


def reads_what_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any opened path is read, file or not."""
    monkeypatch.setattr(stat, "S_ISREG", lambda mode: True)


def looks_before_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The type of a record's file is checked by its name, before it is opened by its name."""

    def read(path: Path) -> bytes | None:
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                return None
            return path.read_bytes()
        except FileNotFoundError:
            return None

    seams.FILES_READ.plant(monkeypatch, read)


def writes_through_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is read from and written to the target of its name."""
    follows_links(monkeypatch)

    def write(path: Path, data: bytes, *, temp: Path, mode: int) -> None:
        path.write_bytes(data)

    seams.WRITE_FILE.plant(monkeypatch, write)


def opens_a_planted_temp_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is written even if the name already exists."""

    def write(path: Path, data: bytes, *, temp: Path, mode: int) -> None:
        temp.write_bytes(data)
        temp.replace(path)

    seams.WRITE_FILE.plant(monkeypatch, write)


def files_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files get the permissions that the umask leaves."""
    write = seams.WRITE_FILE.sound

    def careless(path: Path, data: bytes, *, temp: Path, mode: int) -> None:
        write(path, data, temp=temp, mode=mode)
        path.chmod(0o666 & ~_umask())

    seams.WRITE_FILE.plant(monkeypatch, careless)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def databases_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite creates its file by itself, with the permissions that the umask leaves."""
    seams.POOL_MAKE_FILE.plant(monkeypatch, lambda path: path.touch())


def folders_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders get the permissions that the umask leaves."""
    seams.FILES_MAKE_FOLDER.plant(monkeypatch, lambda path: path.mkdir(parents=True, exist_ok=True))


def parents_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder itself is private, and its parents get the permissions that the umask leaves."""
    seams.FILES_MAKE_FOLDER.plant(monkeypatch, lambda path: path.mkdir(0o700, parents=True, exist_ok=True))


def static_files_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions may be stored in the folder of static files."""
    seams.REFUSE_SERVED_FOLDER.plant(monkeypatch, lambda *arguments: None)
