"""Sessions in one SQLite file: the default store, with nothing to install and nothing to run."""

from __future__ import annotations

import contextlib
import functools
import secrets
import sqlite3
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, RecordTooLarge, StoreError, StoreUnavailable
from holdfast.records.record import Conflict, Gone, Page, Record, Rotation, Version
from holdfast.stores.contract import HealthFinding, Report
from holdfast.stores.shared.answers import NO_KEY, page_by_key, refusal, report_owned
from holdfast.stores.shared.disk import SET_UP_WRONG, companions_of, path_from_url, require_writable, why_unusable
from holdfast.stores.shared.health import about_indexes, about_modes
from holdfast.stores.shared.options import Converter, seconds
from holdfast.stores.shared.sqlite_pool import Connections
from holdfast.stores.shared.wire import any_text, raw_of

__all__ = ["SQLiteStore"]

T = TypeVar("T")
_Raw: TypeAlias = "str | bytes"
_RAW = (bytes, str)

# Keys and owners are bytes, and the index of owners has the first eight: a third of a row's room, as text.
#
# purge_at is never later than expires_at, and only `purge` moves it on: an index on expires_at would be rewritten by
# every save, which doubles what a save costs.
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS sessions (
        key BLOB NOT NULL PRIMARY KEY, version INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        purge_at INTEGER NOT NULL, owner BLOB, data BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS sessions_owner ON sessions (substr(owner, 1, 8)) WHERE owner IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS sessions_purge_at ON sessions (purge_at)",
)

_LOAD = "SELECT data, version, expires_at, owner FROM sessions WHERE key = ? AND expires_at > ?"
_CREATE = """INSERT INTO sessions (key, version, expires_at, purge_at, owner, data) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at,
    purge_at = excluded.purge_at, owner = excluded.owner, data = excluded.data WHERE expires_at <= ?"""
# The usual save changes no index: same owner, and no earlier end than purge_at.
_REPLACE = """UPDATE sessions SET data = ?, version = version + 1, expires_at = ?
    WHERE key = ? AND version = ? AND expires_at > ? AND owner IS ? AND purge_at <= ?"""
_REINDEX = """UPDATE sessions SET data = ?, version = version + 1, expires_at = ?, owner = ?,
    purge_at = min(purge_at, ?) WHERE key = ? AND version = ? AND expires_at > ?"""
_INSERT = "INSERT OR REPLACE INTO sessions (key, version, expires_at, purge_at, owner, data) VALUES (?, ?, ?, ?, ?, ?)"
_TOUCH = "UPDATE sessions SET expires_at = max(expires_at, ?) WHERE key = ? AND expires_at > ?"
_DELETE_LIVE = "DELETE FROM sessions WHERE key = ? AND expires_at > ?"
_DELETE = "DELETE FROM sessions WHERE key = ?"
_DISCARD = "DELETE FROM sessions WHERE key = ? AND version = ? AND expires_at > ?"
_FIND = """SELECT key, data, version, expires_at, owner FROM sessions
    WHERE substr(owner, 1, 8) = substr(?, 1, 8) AND owner = ? AND key > ? AND expires_at > ? ORDER BY key LIMIT ?"""
_SCAN = """SELECT key, data, version, expires_at, owner FROM sessions
    WHERE key > ? AND expires_at > ? ORDER BY key LIMIT ?"""
_DEFER = """UPDATE sessions SET purge_at = expires_at WHERE expires_at > ? AND key IN
    (SELECT key FROM sessions WHERE purge_at <= ? ORDER BY purge_at LIMIT ?)"""
_DUE = """FROM sessions WHERE expires_at <= ? AND key IN
    (SELECT key FROM sessions WHERE purge_at <= ? ORDER BY purge_at LIMIT ?)"""

_BATCH = 250
# SQLite's own limit, in bytes.
_MAX_BYTES = 1_000_000_000
# The bytes that SQLite leaves of the -wal file once its content is in the file, as after a long read or a VACUUM.
_MAX_WAL = 16 * 1024 * 1024

#: Messages of SQLite that waiting does not cure.
_SET_UP_WRONG = ("readonly database", "not a database", "is malformed", "has no column", "no such column")


class SQLiteStore:
    """Keeps records in the SQLite file at *path*, for any number of threads and processes of one machine.

    The first use makes the file with mode 0600 and its missing folders with mode 0700. A saved session survives the
    death of any process at any moment; a power cut may undo the saves of the last moments, and tears none
    (write-ahead log, ``synchronous=NORMAL``). When the file is deleted, the next use makes an empty one.

    Args:
        path: The file. It must not be on a network file system, which SQLite's write-ahead log does not work on.
        clock: Returns the time in milliseconds since the epoch.
        timeout: How many seconds to wait for other writers before `StoreUnavailable`.
    """

    url_options: ClassVar[Mapping[str, Converter]] = {"timeout": seconds}

    def __init__(self, path: str | Path, *, clock: Clock = system_clock, timeout: float = 5.0) -> None:
        #: The file, as an absolute path.
        self.path: Path = Path(path).absolute()
        self._clock = clock
        self._timeout = timeout
        self._connections = Connections(self.path, timeout, functools.partial(_when_free, timeout, _set_up))
        weakref.finalize(self, self._connections.close)

    @classmethod
    def from_url(cls, url: str, *, root: Path, clock: Clock = system_clock, timeout: float = 5.0) -> SQLiteStore:
        """Return the store for ``sqlite:///sessions.db``, relative to *root*, or ``sqlite:////srv/sessions.db``."""
        path = path_from_url(url, root)
        if path.name.endswith(":memory:") or ":///file:" in url:
            raise ConfigurationError(
                f"{url} would be a file of that name: write memory:// for sessions in memory, or a path without file:"
            )
        return cls(path, clock=clock, timeout=timeout)

    def load(self, key: str, /) -> Record | None:
        row = self._run(_one, _LOAD, (raw_of(key), self._clock()))
        return None if row is None else _record(*row)

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        version = secrets.randbits(62)
        values = (raw_of(key), version, expires_at, expires_at, raw_of(owner), data, self._clock())
        return version if self._run(_count, _CREATE, values) else None

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        return self._run(_replace, raw_of(key), expect, self._clock(), (data, expires_at, raw_of(owner)))

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        return self._run(_count, _TOUCH, (expires_at, raw_of(key), self._clock())) > 0

    def delete(self, key: str, /) -> bool:
        if self._run(_count, _DELETE_LIVE, (raw_of(key), self._clock())):
            return True
        # An expired record goes too: if the clock is set back, it must not return.
        self._run(_count, _DELETE, (raw_of(key),))
        return False

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        return self._run(_discard, versions, self._clock())

    def move(self, rotation: Rotation, /) -> Version | Conflict | Gone:
        old, new, data, tombstone, expect, expires_at, grace_until, owner = rotation
        supersede = (tombstone, grace_until, None, grace_until, raw_of(old), expect, self._clock())
        make = (raw_of(new), secrets.randbits(62), expires_at, expires_at, raw_of(owner), data)
        return self._run(_move, supersede, make)

    # Keys are bytes. Others may write to the file, and a text, which comes before all bytes, is no key.

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        index = raw_of(owner)
        return _page(self._run(_all, _FIND, (index, index, raw_of(after or "") or b"", self._clock(), limit)), limit)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return _page(self._run(_all, _SCAN, (raw_of(after or "") or b"", self._clock(), limit)), limit)

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        removed, left = 0, limit
        while left > 0:
            batch = min(_BATCH, left)
            deferred = self._run(_count, _DEFER, (now, now, batch))
            owned, purged = self._run(_purge, (now, now, batch))
            report_owned(((_text(key), _text(owner)) for key, owner in owned), report)
            removed += purged
            left -= deferred + purged
            if not deferred and not purged:
                break
        return removed

    def missing(self) -> str | None:
        if not self.path.exists():
            return f"file {self.path}"
        try:
            with contextlib.closing(sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True)) as connection:
                found = _one(connection.cursor(), "SELECT 1 FROM sqlite_master WHERE name = 'sessions'", ())
        except sqlite3.Error as error:
            raise self._fault(error, ()) from error
        return None if found else f"table 'sessions' in {self.path}"

    def ping(self) -> None:
        self.touch(NO_KEY, expires_at=0)  # it writes nothing, and needs the lock of a write
        require_writable(self.path)

    def check_health(self) -> list[HealthFinding]:
        names = {row[1] for row in self._run(_all, "PRAGMA index_list (sessions)", ())}
        missing = [column for column in ("owner", "purge_at") if f"sessions_{column}" not in names]
        fix = "restart the application: it makes them"
        return [about_indexes(missing, fix), about_modes(None, companions_of(self.path))]

    def close(self) -> None:
        self._connections.close()

    def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return what *work* returns, given a cursor and *arguments*."""
        try:
            cursor = self._connections.take()
            try:
                result = _when_free(self._timeout, work, cursor, *arguments)
            except BaseException:
                self._connections.drop(cursor)
                raise
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise self._fault(error, arguments) from error
        self._connections.give(cursor)
        return result

    def _fault(self, error: Exception, arguments: tuple[Any, ...]) -> StoreError:
        size = _size(arguments)
        if size > _MAX_BYTES or isinstance(error, sqlite3.DataError):
            return RecordTooLarge(size, _MAX_BYTES)
        permanent = getattr(error, "errno", None) in SET_UP_WRONG or any(text in str(error) for text in _SET_UP_WRONG)
        reason = f"{error}: restore the file, or move it away" if permanent else str(error)
        if (permanent or "unable to open" in reason) and (unusable := why_unusable(self.path)):
            permanent, reason = True, unusable
        return StoreUnavailable(f"sessions in {self.path} cannot be used: {reason}", permanent=permanent)


def _one(cursor: sqlite3.Cursor, sql: str, values: tuple[Any, ...]) -> Any:
    return cursor.execute(sql, values).fetchone()


def _all(cursor: sqlite3.Cursor, sql: str, values: tuple[Any, ...]) -> list[Any]:
    return cursor.execute(sql, values).fetchall()


def _count(cursor: sqlite3.Cursor, sql: str, values: tuple[Any, ...]) -> int:
    return cursor.execute(sql, values).rowcount


def _replace(
    cursor: sqlite3.Cursor, key: _Raw, expect: Version, now: int, values: tuple[bytes, int, _Raw | None]
) -> Version | Conflict | Gone:
    data, expires_at, owner = values
    if not isinstance(expect, int):
        return _refusal(cursor, key, expect, now) or Conflict()
    if _count(cursor, _REPLACE, (data, expires_at, key, expect, now, owner, expires_at)):
        return expect + 1
    if refused := _refusal(cursor, key, expect, now):
        return refused
    if _count(cursor, _REINDEX, (data, expires_at, owner, expires_at, key, expect, now)):
        return expect + 1
    return _refusal(cursor, key, expect, now) or Conflict()


def _move(cursor: sqlite3.Cursor, supersede: tuple[Any, ...], make: tuple[Any, ...]) -> Version | Conflict | Gone:
    cursor.execute("BEGIN IMMEDIATE")
    if not _count(cursor, _REINDEX, supersede):
        *_, old, expect, now = supersede
        refused = _refusal(cursor, old, expect, now)
        cursor.execute("ROLLBACK")
        return refused or Conflict()
    cursor.execute(_INSERT, make)
    cursor.execute("COMMIT")
    version: int = make[1]
    return version


def _purge(cursor: sqlite3.Cursor, due: tuple[int, int, int]) -> tuple[list[tuple[_Raw, _Raw]], int]:
    """Remove the records that are *due*. Return the key and owner of those that had one, and the number of all."""
    cursor.execute("BEGIN IMMEDIATE")
    owned = _all(cursor, f"SELECT key, owner {_DUE} AND owner IS NOT NULL", due)
    removed = _count(cursor, f"DELETE {_DUE}", due)
    cursor.execute("COMMIT")
    return owned, removed


def _discard(cursor: sqlite3.Cursor, versions: Mapping[str, Version], now: int) -> frozenset[str]:
    cursor.execute("BEGIN IMMEDIATE")
    removed = frozenset(key for key in versions if _count(cursor, _DISCARD, (raw_of(key), versions[key], now)))
    cursor.execute("COMMIT")
    return removed


def _refusal(cursor: sqlite3.Cursor, key: _Raw, expect: Version, now: int) -> Conflict | Gone | None:
    row = _one(cursor, _LOAD, (key, now))
    return refusal(None if row is None else _record(*row), expect)


def _page(rows: list[Any], limit: int) -> Page:
    return page_by_key(((_text(key), _record(*values)) for key, *values in rows), limit)


def _record(data: Any, version: Any, expires_at: int, owner: Any) -> Record:
    # A column of SQLite takes values of any type, and others may write to the file: such a record holds nothing.
    sound = type(data) is bytes and type(version) is int and (owner is None or type(owner) in _RAW)
    return Record(data, version, expires_at, _text(owner)) if sound else Record(b"", b"", expires_at)


def _text(raw: Any) -> Any:
    """Return the key or the owner that `raw_of` made *raw* of."""
    return raw.hex() if isinstance(raw, bytes) else raw


def _size(values: tuple[Any, ...]) -> int:
    """Return the size in bytes of the largest data among *values*."""
    parts = (part for value in values for part in (value if isinstance(value, tuple) else (value,)))
    return max((len(part) for part in parts if isinstance(part, bytes)), default=0)


def _set_up(connection: sqlite3.Connection) -> None:
    connection.text_factory = any_text
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA journal_size_limit = {_MAX_WAL}")
    for statement in _SCHEMA:
        connection.execute(statement)


def _when_free(timeout: float, work: Callable[..., T], *arguments: Any) -> T:
    """Return what *work* returns, once no other writer holds the lock, for which it waits *timeout* seconds at most.

    A statement that finds the lock held does nothing. The wait is in Python, because one inside SQLite would stop every
    greenlet of a gevent worker, and SQLite does not wait for every lock itself.
    """
    deadline, pause = None, 0.001
    while True:
        try:
            return work(*arguments)
        except sqlite3.OperationalError as error:
            deadline = time.monotonic() + timeout if deadline is None else deadline
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
