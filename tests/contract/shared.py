"""A slow, simple store that processes share, with a limit and an unreliable driver: the suite skips no test on it."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.clock import Clock, system_clock
from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.records.record import Record, Version
from holdfast.stores.contract import Report
from holdfast.stores.memory import MemoryStore
from holdfast.testing import Fault, StoreContract, StoreWrapper

LIMIT = 400_000


class LimitedStore(MemoryStore):
    """The memory store with a limit, and the system's clock as that of its server."""

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        if len(data) > LIMIT:
            raise RecordTooLarge(len(data), LIMIT)
        return super()._put(key, data, expires_at, owner)

    def load_fresh(self, key: str, /) -> Record | None:
        """Return the record: no cache is in between."""
        return self.load(key)

    def now(self) -> int:
        """Return the system's time."""
        return system_clock()

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        """Remove what has expired by both clocks."""
        return super().purge(min(now, self.now()), limit=limit, report=report)


class SharedStore(LimitedStore):
    """The limited store, its records read from a file before each operation and written back after it."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.file = folder / "records.json"
        self._lock = Turn(self)  # type: ignore[assignment]  # every operation is one `with self._lock`

    def read(self) -> None:
        """Take over what the file says."""
        text = self.file.read_text() if self.file.exists() else '{"last": 0, "records": {}}'
        state = json.loads(text)
        self._versions = itertools.count(state["last"] + 1)
        self._records, self._keys = {}, {}
        for key, fields in state["records"].items():
            record = Record(**{**fields, "data": base64.b64decode(fields["data"])})
            self._records[key] = record
            if record.owner is not None:
                self._keys.setdefault(record.owner, set()).add(key)

    def write(self) -> None:
        """Put the file in place of the last one, whole."""
        temporary = self.file.with_suffix(f".{os.getpid()}")
        temporary.write_text(self.state())
        temporary.replace(self.file)

    def state(self) -> str:
        """Return the text of the file."""
        records = {
            key: {**dataclasses.asdict(record), "data": base64.b64encode(record.data).decode()}
            for key, record in self._records.items()
        }
        return json.dumps({"last": next(self._versions) - 1, "records": records})


class Turn:
    """One operation's turn with the file, among all threads and processes."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._threads = threading.Lock()
        self._files = contextlib.ExitStack()

    def __enter__(self) -> None:
        self._threads.acquire()
        lock = self._files.enter_context(self._store.file.with_suffix(".lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._store.read()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._store.write()
        finally:
            self._files.close()
            self._threads.release()


class UnreliableStore(StoreWrapper):
    """A store behind a driver that reports what goes wrong, and gives up on silence."""

    fault: Fault | None = None
    meanwhile: Callable[[], object] | None = None

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Do to one call what the fault does to it."""
        fault = self.fault
        if fault in {Fault.REQUEST_LOST, Fault.REPLY_LOST}:
            self.fault = None
        if fault is Fault.REPLY_LOST:
            call()
            if self.meanwhile is not None:
                self.meanwhile()
        if fault is not None:
            raise StoreUnavailable(f"the connection is {fault.value}")
        return call()


@contextlib.contextmanager
def suffering(store: UnreliableStore, fault: Fault, *, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
    """Let *store* suffer *fault* inside the block, and *meanwhile* happen after a reply was lost."""
    store.fault, store.meanwhile = fault, meanwhile
    try:
        yield
    finally:
        store.fault = None


class SharedContract(StoreContract):
    """How the suite opens the shared store."""

    shared_between_processes = True
    max_bytes = LIMIT
    too_large = LIMIT + 1
    kind: Callable[..., SharedStore] = SharedStore

    def open_store(self, place: Path, clock: Clock) -> UnreliableStore:
        """Return another client of the records in *place*."""
        return UnreliableStore(type(self).kind(place, clock=clock))

    def disturb(self, fault: Fault, store: Any, place: Path) -> contextlib.AbstractContextManager[object]:
        """Let the driver of *store* suffer *fault*."""
        return suffering(store, fault, meanwhile=self.meanwhile)
