"""Locks that hold between threads and processes: `fcntl.flock` on a file of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.errors import ConfigurationError, StoreUnavailable

try:
    import fcntl
except ImportError as error:
    raise ConfigurationError(
        "sessions in files need the POSIX locks of fcntl, which this system lacks: use sqlite:///sessions.db"
    ) from error


@contextmanager
def locked(path: Path, *, timeout: float = 5.0) -> Iterator[None]:
    """Hold the lock of the file at *path*. Two files, *path* and ``<path>.queue``, are created and not removed.

    Not reentrant. The system releases the lock of a process that dies. After a wait of *timeout* seconds it raises
    `StoreUnavailable`, and `OSError` if a file cannot be made.
    """
    deadline = time.monotonic() + timeout
    # The next waiter holds the queue, so that a client that locks repeatedly cannot overtake the others.
    queue = _acquire(path.with_name(f"{path.name}.queue"), deadline, pause=0.01)
    try:
        descriptor = _acquire(path, deadline, pause=0.001)
    finally:
        _release(queue)
    try:
        yield
    finally:
        _release(descriptor)


def _acquire(path: Path, deadline: float, *, pause: float) -> int:
    wait = 0.0005
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if _is_ours(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"sessions in {path.parent} cannot be used: others hold the lock")
        time.sleep(wait)
        wait = min(wait * 2, pause)


def _release(descriptor: int) -> None:
    # A child forked meanwhile has the descriptor too, so that closing it would not be enough.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    with suppress(OSError):  # the file is empty
        os.close(descriptor)


def _is_ours(descriptor: int, path: Path) -> bool:
    """Take the lock if it is free. If the file was deleted meanwhile, the lock is no longer the one others take."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
