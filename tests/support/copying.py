"""A source that changes while it is copied."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from holdfast.records.record import Record
from holdfast.stores.contract import Closes, Store
from holdfast.stores.urls import open_store

HOUR = 3_600_000


def key(number: int) -> str:
    """Return a key that is told from others by *number*."""
    return f"{number * 2_654_435_761 % 2**32:08x}{number:056x}"


def content(store: Any) -> dict[str, tuple[bytes, int, str | None]]:
    """Return everything that lives in *store*."""
    found, after = {}, None
    while True:
        page = store.scan(after, limit=500)
        found.update({name: as_copied(record) for name, record in page.items})
        after = page.after
        if after is None:
            return found


def as_copied(record: Record) -> tuple[bytes, int, str | None]:
    """Return what a copy of *record* must share with it."""
    return record.data, record.expires_at, record.owner


def opened(stack: ExitStack, url: str) -> Any:
    """Return the store at *url*, which *stack* closes."""
    store = open_store(url)
    if isinstance(store, Closes):
        stack.callback(store.close)
    return store


def state(folder: Path) -> list[str]:
    """Return the option that keeps the state file in *folder*."""
    return ["--state", str(folder / "copy.state")]


def command(source_url: str, target_url: str, folder: Path, *options: str) -> list[str]:
    """Return the command line that copies from *source_url* to *target_url*."""
    return [sys.executable, "-m", "holdfast", "copy", source_url, target_url, *state(folder), *options]


def fill(store: Store, count: int, *, size: int = 10) -> set[str]:
    """Make *count* records of *size* bytes, half of them of ten thousand users; end some, and return their keys."""
    until = int(time.time() * 1000) + HOUR
    for number in range(count):
        owner = f"{number % 10_000:064x}" if number % 2 else None
        store.create(key(number), random.Random(number).randbytes(size), expires_at=until, owner=owner)
    ended = {key(number) for number in range(0, count, 100)}
    for name in ended:
        store.delete(name)
    return ended


class Writer(threading.Thread):
    """An application that makes, changes, touches and ends sessions.

    Attributes:
        ended: The keys of the sessions that it ended.
        changed: How many times it changed or touched one.
        made: How many it made.
    """

    def __init__(self, store: Store, count: int, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self.store = store
        self.count = count
        self.chance = random.Random(seed)
        self.ended: set[str] = set()
        self.changed = 0
        self.made = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        """Write until `stop`."""
        while not self._stopped.wait(0.001):
            now = int(time.time() * 1000)
            name = key(self.chance.randrange(self.count + self.made))
            what = self.chance.random()
            record = self.store.load(name)
            if record is None or what < 0.1:
                self.store.create(key(self.count + self.made), b"new", expires_at=now + HOUR)
                self.made += 1
            elif what < 0.3:
                self.store.delete(name)
                self.ended.add(name)
            else:
                self.changed += 1
                if what < 0.7:
                    self.store.replace(name, b"%d" % now, expect=record.version, expires_at=now + HOUR, owner="bob")
                else:
                    self.store.touch(name, expires_at=now + 2 * HOUR)

    def stop(self) -> None:
        """End what it does, and wait for that."""
        self._stopped.set()
        self.join()


def holds(store: Any, count: int) -> bool:
    """Tell whether at least *count* records live in *store*."""
    after, found = None, 0
    while found < count:
        page = store.scan(after, limit=500)
        found += len(page.items)
        after = page.after
        if after is None:
            break
    return found >= count


def kill_midway(
    process: subprocess.Popen[Any], target: Any, count: int, *, seconds: float = 20, pause: float = 0.01
) -> None:
    """Kill the copy when *count* records are at the target, which is asked every *pause* seconds."""
    deadline = time.monotonic() + seconds
    while not holds(target, count):
        assert process.poll() is None, "the copy ended before it could be killed"
        assert time.monotonic() < deadline, "the copy is too slow"
        time.sleep(pause)
    process.kill()
    process.wait()
