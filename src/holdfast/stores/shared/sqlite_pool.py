"""A thread- and fork-safe pool of SQLite connections that detects a replaced file."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from holdfast.stores.shared.clients import drain
from holdfast.stores.shared.disk import StoreDirectory, companions_of, file_at, make_private_file, refuse_planted


class Cursor(sqlite3.Cursor):
    """The one cursor of its connection, with the device and inode of the file. Another for each call takes longer."""

    file: tuple[int, int] | None = None


class Connections:
    """Connections to the file at *path*, one for each thread that works at the same time.

    A missing file is created with mode 0600 under any umask. *prepare* is called with each new connection, which does
    not wait for locks yet.

    A fork waits for the connections in use, *timeout* seconds at most, and closes all; parent and child open new ones.
    SQLite counts locks per process: with an inherited connection, the child's own ones would believe that they hold
    locks that only its parent holds, and their writes could be lost. A child of a C program that forks without
    notifying Python, as uWSGI does, opens new ones too; no other thread may use the store at that moment.
    """

    def __init__(self, path: Path, timeout: float, prepare: Callable[[sqlite3.Connection], object]) -> None:
        self._path = str(path)
        self._files = companions_of(path)
        self._timeout = timeout
        self._prepare = prepare
        self._directory = StoreDirectory(path.parent, self._files)
        self._start()
        _everywhere.add(self)

    def _start(self) -> None:
        self._idle: deque[Cursor] | _Closing = deque()
        # One that is lost, as when the recursion limit is reached here, is not waited for.
        self._open: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._gate = threading.Lock()
        self._pid = os.getpid()

    def take(self) -> Cursor:
        """Return a connection's cursor, which no other thread uses until it is returned or dropped.

        Raises:
            StoreUnavailable: The file is missing and its folder is not the original one, or others can write to it.
            OSError, sqlite3.Error: The file cannot be made, or not opened.
        """
        file = file_at(self._path)  # may raise, so it comes before the connection is removed from the pool
        if self._pid != os.getpid():
            with _forking:
                if self._pid != os.getpid():
                    self.restart()
        try:
            # A connection to a deleted or replaced file would continue on records that no other process sees.
            while (cursor := self._idle.pop()).file != file:
                self.drop(cursor)
        except IndexError:
            return self._new()
        return cursor

    def give(self, cursor: Cursor) -> None:
        """Return a working connection to the pool, by its *cursor*, which has no rows left."""
        self._idle.append(cursor)

    def drop(self, cursor: Cursor) -> None:
        """Close a connection that failed."""
        # An error of a failed connection while it is closed has been reported already.
        with suppress(sqlite3.Error):
            cursor.connection.close()
        self._open.discard(cursor)

    def close(self) -> None:
        """Close the idle connections now, and the others when they are returned."""
        idle, self._idle = self._idle, _Closing(self.drop)
        drain(idle, self.drop)

    def pause(self) -> None:
        """Close every connection and prevent new ones until `resume`. Waits for those in use."""
        self._gate.acquire()
        try:
            idle, self._idle = self._idle, _Closing(self.drop)
            deadline = time.monotonic() + self._timeout
            while True:
                drain(idle, self.drop)
                if not self._open or time.monotonic() > deadline:
                    return
                time.sleep(0.001)
        except BaseException:  # Ctrl-C, or the timeout of the forking code
            self.resume()
            raise

    def resume(self) -> None:
        """Work again after `pause`."""
        self._idle = deque()
        self._gate.release()

    def restart(self) -> None:
        """Start again in a forked child, without the parent's connections."""
        _inherited.extend(self._open)
        self._start()

    def _new(self) -> Cursor:
        with self._gate:
            file = file_at(self._path)
            self._directory.make(missing=file is None)
            if file is None:
                make_private_file(self._files[0])
                file = file_at(self._path)
            for each in self._files:
                refuse_planted(each)
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            cursor = Cursor(connection)
            cursor.file = file
            self._open.add(cursor)
        try:
            self._prepare(connection)
        except BaseException:
            self.drop(cursor)
            raise
        return cursor


class _Closing:
    """Replaces the list of idle connections while none may be kept."""

    def __init__(self, drop: Callable[[Cursor], None]) -> None:
        self.append = drop

    def pop(self) -> Cursor:
        raise IndexError


_everywhere: weakref.WeakSet[Connections] = weakref.WeakSet()
_paused: list[Connections] = []
_forking = threading.Lock()
# Connections of a parent that forked without notice: they must be neither used nor closed.
_inherited: list[Cursor] = []


def _before_fork() -> None:
    _forking.acquire()
    # Python reports any exception here, forks anyway, and calls the functions after a fork.
    for connections in list(_everywhere):
        connections.pause()
        _paused.append(connections)


def _after_fork_in_parent() -> None:
    for connections in _paused:
        connections.resume()
    _paused.clear()
    _forking.release()


def _after_fork_in_child() -> None:
    global _forking  # noqa: PLW0603 (another thread may have held it, and is not in the child)
    _forking = threading.Lock()
    _paused.clear()
    for connections in list(_everywhere):
        connections.restart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
