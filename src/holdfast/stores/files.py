"""Sessions in a folder, one file each."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import secrets
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from holdfast.clock import Clock, system_clock
from holdfast.stores.contract import Conflict, Gone, HealthFinding, Page, Record, Report, Version
from holdfast.stores.shared import disk
from holdfast.stores.shared.answers import page_by_key, refusal, report_owned
from holdfast.stores.shared.health import about_modes
from holdfast.stores.shared.locks import locked
from holdfast.stores.shared.options import Converter, file_mode
from holdfast.stores.shared.wire import EXPIRY_AT, owner_bytes, pack, unpack

__all__ = ["FileStore"]

_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHARD = re.compile(r"[0-9a-f]{2}", re.ASCII)
_TEMP = ".temp"

# `touch` writes over the expiry and its checksum in place. By the checksum a reader without the lock knows when it has
# read half of that.
_EXPIRY = struct.Struct(">q")
_CHECKSUM = struct.Struct(">I")
# How many records a purge looks at for each that it may remove.
_LOOKS = 10
# How many files a check of the health looks at.
_SAMPLE = 20

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
# The errors of opening a symbolic link, and a socket.
_NOT_A_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO}


class FileStore:
    """Keeps each record in a file ``<directory>/<2 hex digits>/<key>``, for the threads and processes of one machine.

    A file is written next to its place, synced and renamed, under a lock; reading takes no lock. A session that was
    saved survives the death of any process at any moment. The first use makes *directory* with mode 0700. A
    symbolic link, a FIFO, a folder or a damaged file under a record's name is no record: it is not followed and not
    read, nothing is under that key, and `purge` leaves it for inspection.

    Args:
        directory: The folder. Nothing else should be in it.
        mode: The mode of the records' files.
        clock: Returns the time in milliseconds since the epoch.
    """

    #: The option of a ``file:///`` URL, in octal digits.
    url_options: ClassVar[Mapping[str, Converter]] = {"mode": file_mode}

    def __init__(self, directory: str | Path, *, mode: int = 0o600, clock: Clock = system_clock) -> None:
        #: The folder, as an absolute path.
        self.path: Path = Path(directory).absolute()
        self._locks = self.path / ".locks"
        self._owners = self.path / ".owners"
        self._directory = disk.StoreDirectory(self.path)
        self._mode = mode
        self._clock = clock
        # Each process begins elsewhere, so that none is looked at by all of them, and none by nobody.
        self._purged_to = self._swept_to = secrets.token_hex(2)

    @classmethod
    def from_url(cls, url: str, *, root: Path, clock: Clock = system_clock, **options: int) -> FileStore:
        """Return the store for ``file:///sessions``, relative to *root*, or ``file:////srv/sessions``."""
        return cls(disk.path_from_url(url, root), clock=clock, **options)

    def load(self, key: str, /) -> Record | None:
        path = self._path(key)
        with disk.faults_of(self.path):
            try:
                raw = _read(path)
            except NotADirectoryError:
                self._prepare()  # with the reason, if the store has no folder any more
                raise
            if raw is None:
                self._prepare()
                return None
        record = _decode(raw)
        if record is None:
            with self._holding(key):
                record = _record_at(path)
        return record if record and record.expires_at > self._clock() else None

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        with self._holding(key):
            if self._live(key):
                return None
            return self._write(key, data, expires_at, owner)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        with self._holding(key):
            return refusal(self._live(key), expect) or self._write(key, data, expires_at, owner)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        with self._holding(key):
            record = self._live(key)
            if record and expires_at > record.expires_at:
                descriptor = os.open(self._path(key), os.O_WRONLY | os.O_NOFOLLOW)
                try:
                    os.pwrite(descriptor, _EXPIRY.pack(expires_at) + _checksum(expires_at), EXPIRY_AT)
                finally:
                    os.close(descriptor)
            return record is not None

    def delete(self, key: str, /) -> bool:
        with self._holding(key):
            was_live = self._live(key) is not None
            self._remove(key)
            return was_live

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        return frozenset(key for key, version in versions.items() if self._discard(key, version))

    def _discard(self, key: str, version: Version) -> bool:
        with self._holding(key):
            if refusal(self._live(key), version):
                return False
            self._remove(key)
            return True

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        return self._page(self._listed(owner, after or ""), limit)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return self._page(_names_after(self.path, after or ""), limit)

    def _page(self, keys: Iterable[str], limit: int) -> Page:
        with disk.faults_of(self.path):
            self._prepare()
            return page_by_key(((key, record) for key in keys if (record := self._live(key))), limit)

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        removed, looks = 0, _LOOKS * (limit + 1)
        with disk.faults_of(self.path):
            self._prepare()
            keys = itertools.islice(_names_from(self.path, self._purged_to), looks)
            for shard, some in itertools.groupby(keys, key=lambda key: key[:2]):
                seen = list(some)
                self._purged_to = seen[-1]
                due = [key for key in seen if self._due(key, now)][: limit - removed]
                purged = self._purge_shard(shard, due, now)
                report_owned(purged, report)
                removed += len(purged)
                if removed >= limit:
                    break
            for owner in itertools.islice(_names_from(self._owners, self._swept_to), limit + 1):
                self._swept_to = owner
                folder = _place(self._owners, owner)
                for key in _names(folder, _KEY):
                    self._sweep_mark(folder, key)
        return removed

    def missing(self) -> str | None:
        return None if self._locks.exists() else f"folder of sessions {self.path}"

    def ping(self) -> None:
        with self._holding_shard("00"):
            disk.require_writable(self.path)

    def check_health(self) -> list[HealthFinding]:
        with disk.faults_of(self.path):
            self._prepare()
            return [about_modes(self.path, map(self._path, itertools.islice(_names_after(self.path, ""), _SAMPLE)))]

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("a key is 64 lower-case hex digits")
        return _place(self.path, key)

    def _owner_folder(self, owner: str) -> Path:
        return _place(self._owners, hashlib.sha256(owner_bytes(owner)).hexdigest())

    def _prepare(self) -> None:
        missing = not self._locks.is_dir()
        self._directory.make(missing=missing)
        if missing:
            disk.make_folder(self._locks)

    def _holding(self, key: str) -> AbstractContextManager[None]:
        return self._holding_shard(self._path(key).parent.name)

    @contextmanager
    def _holding_shard(self, shard: str) -> Iterator[None]:
        """Hold the lock of the keys that begin with *shard*, and turn file errors into `StoreUnavailable`."""
        with disk.faults_of(self.path):
            self._prepare()
            with locked(self._locks / shard):
                yield

    def _live(self, key: str) -> Record | None:
        record = _record_at(self._path(key))
        return record if record and record.expires_at > self._clock() else None

    def _write(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        path = self._path(key)
        version = secrets.randbits(62)
        before = _record_at(path)
        disk.make_folder(path.parent)
        if owner is not None:
            self._mark(owner, key)
        raw = pack(Record(data, version, expires_at, owner), _checksum(expires_at))
        disk.write_file(path, raw, temp=path.parent / _TEMP, mode=self._mode)
        if before and before.owner is not None and before.owner != owner:
            _unmark(self._owner_folder(before.owner), key)
        return version

    def _remove(self, key: str) -> None:
        record = _record_at(self._path(key))
        self._path(key).unlink(missing_ok=True)
        if record and record.owner is not None:
            _unmark(self._owner_folder(record.owner), key)

    def _mark(self, owner: str, key: str) -> None:
        folder = self._owner_folder(owner)
        while True:
            disk.make_folder(folder)
            # The folder goes when the owner's last other session ends at this moment.
            with suppress(FileNotFoundError):
                (folder / key).touch(0o600)
                return

    def _listed(self, owner: str, after: str) -> Iterator[str]:
        folder = self._owner_folder(owner)
        for key in _names(folder, _KEY):
            if key > after:
                if self._path(key).exists():
                    yield key
                else:
                    self._sweep_mark(folder, key)

    def _purge_shard(self, shard: str, due: list[str], now: int) -> list[tuple[str, str | None]]:
        temp, removed = self.path / shard / _TEMP, list[tuple[str, str | None]]()
        if due or temp.exists():
            with self._holding_shard(shard):
                # Only a writer that was killed can have left it: the lock is held.
                temp.unlink(missing_ok=True)
                for key in due:
                    if (record := self._due(key, now)) is not None:
                        self._remove(key)
                        removed.append((key, record.owner))
        return removed

    def _due(self, key: str, now: int) -> Record | None:
        record = _record_at(self._path(key))
        return record if record is not None and record.expires_at <= now else None

    def _sweep_mark(self, folder: Path, key: str) -> None:
        """Remove the mark of *key*, if a killed process left it without its record."""
        if not self._belongs(key, folder):
            with self._holding(key):
                if not self._belongs(key, folder):
                    _unmark(folder, key)

    def _belongs(self, key: str, folder: Path) -> bool:
        record = _record_at(self._path(key))
        return record is not None and record.owner is not None and self._owner_folder(record.owner) == folder


def _unmark(folder: Path, key: str) -> None:
    # The record is written or removed already. A mark that stays is skipped by `find` and swept by `purge`; the
    # folder stays while the owner has other sessions.
    with suppress(OSError):
        (folder / key).unlink(missing_ok=True)
        folder.rmdir()


def _place(root: Path, name: str) -> Path:
    """Return the path of *name*, a key or the hash of an owner: a folder for each first two digits is never large."""
    return root / name[:2] / name


def _names_after(root: Path, start: str) -> Iterator[str]:
    """Yield the names under *root* that come after *start*, in order."""
    for shard in _names(root, _SHARD):
        if shard >= start[:2]:
            yield from (name for name in _names(root / shard, _KEY) if name > start)


def _names_from(root: Path, start: str) -> Iterator[str]:
    """Yield every name under *root* once, first those that come after *start*."""
    yield from _names_after(root, start)
    yield from itertools.takewhile(lambda name: name <= start, _names_after(root, ""))


def _names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))  # noqa: PTH208 (names)
    except FileNotFoundError:
        return []


def _record_at(path: Path) -> Record | None:
    raw = _read(path)
    return None if raw is None else _decode(raw)


def _read(path: Path, tries: int = disk.TRIES) -> bytes | None:
    """Return the content of the regular file at *path*; None if there is none, or another user made it.

    Nothing is followed.
    """
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return _read(path, tries - 1) if tries and path.exists() else None
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not disk.is_trusted_user(status.st_uid):
            return None
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _decode(raw: bytes) -> Record | None:
    """Return the record in *raw*, or None when it is none of this format, or damaged."""
    found = unpack(raw, _CHECKSUM.size)
    return found[0] if found and found[1] == _checksum(found[0].expires_at) else None


def _checksum(expires_at: int) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(_EXPIRY.pack(expires_at)))
