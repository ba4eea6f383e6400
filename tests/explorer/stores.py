"""The memory store in four shapes, each with the capabilities that a kind of backend has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from explorer.relay import relay
from explorer.schedules import Actor, Footprint

from holdfast.clock import Clock
from holdfast.records.record import Record
from holdfast.sessions.ops import Call
from holdfast.stores.memory import MemoryStore


class Atomic(MemoryStore):
    """It rotates in one step, as SQL and a single Redis do. The index is listed in a fixed order."""

    #: Whether the core may use `move`.
    rotates = True
    #: The order of the index.
    backwards = False

    def keys_of(self, owner: str, /) -> list[str]:
        """Return the keys of the live records with *owner*."""
        return sorted(super().keys_of(owner), reverse=self.backwards)

    def seat(self, key: str, record: Record) -> None:
        """Begin with *record*."""
        self.create(key, record.data, expires_at=record.expires_at, owner=record.owner)


class Backwards(Atomic):
    """The same, with the index in the opposite order."""

    backwards = True


class Stepwise(Atomic):
    """It cannot `move`, so that the core rotates in steps."""

    rotates = False


class Scattered(Stepwise):
    """Its index is elsewhere, as in a Redis Cluster: written one step before the record, and never rid of a key."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.index: dict[str, list[str]] = {}

    def keys_of(self, owner: str, /) -> list[str]:
        """Return every key that ever had *owner*, or is about to."""
        return sorted(self.index.get(owner, ()))

    def seat(self, key: str, record: Record) -> None:
        """Begin with *record* and its entry in the index."""
        if record.owner is not None:
            self.index.setdefault(record.owner, []).append(key)
        super().seat(key, record)


BACKENDS = (Atomic, Backwards, Stepwise, Scattered)


@dataclass(frozen=True, slots=True)
class Enlist:
    """The step that a scattered store takes before it makes a record with an owner."""

    owner: str
    key: str

    footprint: ClassVar[Footprint] = Footprint(adds=frozenset(("index",)))

    def run(self, store: Any) -> None:
        """Add the key to the owner's index."""
        store.index.setdefault(self.owner, []).append(self.key)

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"index {self.key} for {self.owner}"


def enlisting(flow: Actor, store: object) -> Actor:
    """Return *flow* with the extra steps that *store* takes."""
    return relay(flow, _enlist_first) if isinstance(store, Scattered) else flow


def _enlist_first(operation: Any) -> Actor:
    if isinstance(operation, Call) and operation.name == "create" and operation.kwargs["owner"] is not None:
        yield Enlist(operation.kwargs["owner"], operation.args[0])
    return (yield operation)
