"""The steps a flow is made of, and the driver that carries them out.

A flow (`holdfast.sessions.flows`) is a generator: it yields operations, is sent their results and returns its outcome.
Each operation names what is sent back; ``run`` returns what the store's method does, an awaitable on an async store,
and ``name`` is that method's name.
It does no I/O of its own, so the same flow runs under `drive`, under `drive_async`, and under a test that
interleaves several flows at every operation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

from holdfast.errors import StoreError
from holdfast.records.record import Version

T = TypeVar("T")


@dataclass(slots=True)
class Load:
    """Send back the record under *key*, or None."""

    name: ClassVar[str] = "load"
    key: str

    def run(self, store: Any) -> Any:
        return store.load(self.key)


@dataclass(slots=True)
class Create:
    """Send back the version of the record made, or None where a live one is."""

    name: ClassVar[str] = "create"
    key: str
    data: bytes
    expires_at: int
    owner: str | None = None

    def run(self, store: Any) -> Any:
        return store.create(self.key, self.data, expires_at=self.expires_at, owner=self.owner)


@dataclass(slots=True)
class Replace:
    """Send back the new version, `Conflict` or `Gone`."""

    name: ClassVar[str] = "replace"
    key: str
    data: bytes
    expect: Version
    expires_at: int
    owner: str | None = None

    def run(self, store: Any) -> Any:
        return store.replace(self.key, self.data, expect=self.expect, expires_at=self.expires_at, owner=self.owner)


@dataclass(slots=True)
class Touch:
    """Send back whether the record lives."""

    name: ClassVar[str] = "touch"
    key: str
    expires_at: int

    def run(self, store: Any) -> Any:
        return store.touch(self.key, expires_at=self.expires_at)


@dataclass(slots=True)
class Delete:
    """Send back whether a live record was there."""

    name: ClassVar[str] = "delete"
    key: str

    def run(self, store: Any) -> Any:
        return store.delete(self.key)


@dataclass(slots=True)
class Move:
    """Rotate in one step, on a store that `Rotates`. Send back the new version, `Conflict` or `Gone`."""

    name: ClassVar[str] = "move"
    old: str
    new: str
    data: bytes
    tombstone: bytes
    expect: Version
    expires_at: int
    grace_until: int
    owner: str | None = None

    def run(self, store: Any) -> Any:
        return store.move(
            self.old,
            self.new,
            self.data,
            self.tombstone,
            expect=self.expect,
            expires_at=self.expires_at,
            grace_until=self.grace_until,
            owner=self.owner,
        )


@dataclass(slots=True)
class KeysOf:
    """Send back the keys in the owner's index, on a store that `Indexes`."""

    name: ClassVar[str] = "keys_of"
    owner: str

    def run(self, store: Any) -> Any:
        return store.keys_of(self.owner)


@dataclass(slots=True)
class Scan:
    """Send back a page of about *limit* records from *after* on, on a store that `Iterates`."""

    name: ClassVar[str] = "scan"
    after: str | None
    limit: int

    def run(self, store: Any) -> Any:
        return store.scan(self.after, limit=self.limit)


@dataclass(slots=True)
class Confirm:
    """Send back whether the writes to *key* are safe, on a store that `Confirms`."""

    name: ClassVar[str] = "confirm"
    key: str

    def run(self, store: Any) -> Any:
        return store.confirm(self.key)


@dataclass(slots=True)
class Purge:
    """Send back how many expired records were removed, at most *limit*, on a store that `Purges`."""

    name: ClassVar[str] = "purge"
    now: int
    limit: int

    def run(self, store: Any) -> Any:
        return store.purge(self.now, limit=self.limit)


@dataclass(slots=True)
class Pause:
    """Wait for *ms* milliseconds before another try. Sends back None."""

    ms: float


Operation: TypeAlias = Load | Create | Replace | Touch | Delete | Move | KeysOf | Scan | Confirm | Purge | Pause
Flow: TypeAlias = Generator[Operation, Any, T]


def step(operation: Operation) -> Flow[Any]:
    """Return the flow that is *operation* alone, and its answer."""
    return (yield operation)


def drive(flow: Flow[T], store: object) -> T:
    """Run *flow* on *store* to its end and return its outcome. Store errors are raised inside the flow."""
    try:
        operation = next(flow)
        while True:
            if isinstance(operation, Pause):
                time.sleep(operation.ms / 1000)
                operation = flow.send(None)
                continue
            try:
                result = operation.run(store)
            except StoreError as error:
                operation = flow.throw(error)
            else:
                operation = flow.send(result)
    except StopIteration as stop:
        outcome: T = stop.value
        return outcome


async def drive_async(flow: Flow[T], store: object) -> T:
    """Run *flow* on a store whose methods are coroutines with the names and meanings of `holdfast.stores.contract`."""
    try:
        operation = next(flow)
        while True:
            if isinstance(operation, Pause):
                await asyncio.sleep(operation.ms / 1000)
                operation = flow.send(None)
                continue
            try:
                result = await operation.run(store)  # the same names, awaitable
            except StoreError as error:
                operation = flow.throw(error)
            else:
                operation = flow.send(result)
    except StopIteration as stop:
        outcome: T = stop.value
        return outcome
