"""What a copy has done so far, in a file, so that it can go on after any interruption."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import ConfigurationError
from holdfast.records.record import Version

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS copy (source TEXT, target TEXT, number INTEGER NOT NULL, reached TEXT)",
    """CREATE TABLE IF NOT EXISTS copied (
        key TEXT NOT NULL PRIMARY KEY, version TEXT, expires_at INTEGER, there TEXT, seen INTEGER NOT NULL)
        WITHOUT ROWID""",
)
_INTEND = """INSERT INTO copied (key, seen) VALUES (?, ?)
    ON CONFLICT (key) DO UPDATE SET version = NULL, there = NULL, seen = excluded.seen"""
_DONE = "UPDATE copied SET version = ?, expires_at = ?, there = ?, seen = ? WHERE key = ?"
_BATCH = 500


class Copied(NamedTuple):
    """What is known of a record that was copied.

    Attributes:
        version: Its version at the source when it was copied; None when it was about to be copied again.
        expires_at: Its expiry then, in milliseconds since the epoch.
        there: The version of the copy, or None when it is not known.
    """

    version: Version | None
    expires_at: int
    there: Version | None


class Journal:
    """The keys that were copied, with their versions, and the place that the pass at work has reached.

    Keys are noted before anything is written to the target, so there is no moment at which a record is there that the
    journal does not know. It holds no data of any record.

    Args:
        path: The file. It is made with mode 0600.
        source: What the source is called, to notice that the file belongs to another copy.
        target: What the target is called.

    Raises:
        ConfigurationError: The file cannot be used, or it is another copy's, or another process uses it.
    """

    def __init__(self, path: Path, *, source: str, target: str) -> None:
        self._number = 0
        names = (_named(source), _named(target))
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        try:
            self._prepare(path, names)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, path: Path, names: tuple[str, str]) -> None:
        try:
            # Nobody else can open it until the end of this process, however it ends.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            for statement in _SCHEMA:
                self._db.execute(statement)
            known = self._db.execute("SELECT source, target FROM copy").fetchone()
            if known is None:
                self._db.execute("INSERT INTO copy VALUES (?, ?, 0, NULL)", names)
        except sqlite3.Error as error:
            raise _unusable(path, error) from error
        if known not in {None, names}:
            raise ConfigurationError(
                f"{path} belongs to a copy between other stores: name another file with --state, or remove it"
            )

    def begin_pass(self) -> tuple[int, str | None]:
        """Begin a pass, or go on with one that was interrupted. Return its number and where it goes on, None: first."""
        number, reached = self._db.execute("SELECT number, reached FROM copy").fetchone()
        if reached is None:
            number += 1
            self._db.execute("UPDATE copy SET number = ?", (number,))
        self._number = number
        return number, reached

    def known(self, keys: Iterable[str]) -> dict[str, Copied]:
        """Return what is known of those of *keys* that were copied. At most 500 are asked for at once."""
        wanted = list(keys)
        marks = ", ".join("?" * len(wanted))
        rows = self._db.execute(f"SELECT * FROM copied WHERE key IN ({marks})", wanted)  # noqa: S608  # only marks
        return {key: Copied(_version(version), until or 0, _version(there)) for key, version, until, there, _ in rows}

    def intend(self, keys: Iterable[str]) -> None:
        """Note that the records under *keys* are about to be written to the target."""
        self._all((_INTEND, [(key, self._number) for key in keys]))

    def note(self, copied: dict[str, Copied], seen: Iterable[str], reached: str | None) -> None:
        """Note what was written, what was only *seen* at the source, and where the pass would go on."""
        number = self._number
        self._all(
            (
                _DONE,
                [(repr(done.version), done.expires_at, repr(done.there), number, key) for key, done in copied.items()],
            ),
            ("UPDATE copied SET seen = ? WHERE key = ?", [(number, key) for key in seen]),
            ("UPDATE copy SET reached = ?", [(reached,)]),
        )

    def unseen(self) -> Iterator[list[str]]:
        """Yield, some at a time, the keys that were copied once and that this pass did not see at the source."""
        last = ""
        query = "SELECT key FROM copied WHERE key > ? AND seen < ? ORDER BY key LIMIT ?"
        while keys := [key for (key,) in self._db.execute(query, (last, self._number, _BATCH))]:
            yield keys
            last = keys[-1]

    def count(self) -> int:
        """Return how many records this pass has seen so far, each once."""
        found: int = self._db.execute("SELECT count(*) FROM copied WHERE seen = ?", (self._number,)).fetchone()[0]
        return found

    def forget(self, keys: Iterable[str]) -> None:
        """Note that the records under *keys* are at the target no more."""
        self._all(("DELETE FROM copied WHERE key = ?", [(key,) for key in keys]))

    def end_pass(self) -> None:
        """Note that the pass is complete."""
        self._db.execute("UPDATE copy SET reached = NULL")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _all(self, *statements: tuple[str, list[tuple[object, ...]]]) -> None:
        self._db.execute("BEGIN")
        for statement, rows in statements:
            self._db.executemany(statement, rows)
        self._db.execute("COMMIT")


def _unusable(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be used to note what was copied: {error}. Does another copy use it? --state names another file"
    )


def _version(text: str | None) -> Version | None:
    return None if text is None else ast.literal_eval(text)  # a version's own repr


def _named(place: str) -> str:
    """Return what tells *place* from others, and nothing about it. A password in a URL does not count."""
    return hashlib.sha256(re.sub(r"//[^/?]*@", "//", place).encode()).hexdigest()
