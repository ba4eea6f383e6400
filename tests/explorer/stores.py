"""The memory store in four shapes, each with the capabilities that a kind of backend has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from explorer.relay import relay
from explorer.schedules import Actor, Footprint, describe, footprint

from holdfast.clock import Clock
from holdfast.records.record import Page, Record
from holdfast.sessions.flows import listing
from holdfast.sessions.ops import Call
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache


class Atomic(MemoryStore):
    """It rotates in one step, as SQL and a single Redis do. The index is listed in a fixed order."""

    #: Whether the core may use `move`.
    rotates = True
    #: The order of the index.
    backwards = False

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        """Return all live records of *owner*."""
        page = super().find(owner, limit=limit)
        return Page(page.items[::-1], None) if self.backwards else page

    def seat(self, key: str, record: Record) -> None:
        """Begin with *record*."""
        self.create(key, record.data, expires_at=record.expires_at, owner=record.owner)


class Backwards(Atomic):
    """The same, with the index in the opposite order."""

    backwards = True


class Paged(Atomic):
    """A page of its index has one record, unless a page is wanted that has room for all."""

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        """Return the next live record of *owner*."""
        return MemoryStore.find(self, owner, after, limit=1 if limit == listing.STRIDE else limit)


class Timed(Atomic):
    """Its server has a clock: that of the world."""

    def now(self) -> int:
        """Return the server's time."""
        return self._clock()


class Stepwise(Atomic):
    """It cannot `move`, so that the core rotates in steps."""

    rotates = False


class Scattered(Stepwise):
    """Its index is elsewhere, as in a Redis Cluster: written one step before the record, and never rid of a key."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.index: dict[str, list[str]] = {}

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        """Return the record under every key that ever had *owner*, or is about to, whoever has it now."""
        return ReadRecords(ListKeys(owner).run(self)).run(self)

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


@dataclass(frozen=True, slots=True)
class ListKeys:
    """The first of the two steps in which a scattered store finds an owner's records."""

    owner: str

    footprint: ClassVar[Footprint] = Footprint(reads=frozenset(("index",)))

    def run(self, store: Any) -> list[str]:
        """Return the keys in the owner's index."""
        return sorted(store.index.get(self.owner, ()))

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"list {self.owner}"


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """The second of these steps."""

    keys: list[str]

    @property
    def footprint(self) -> Footprint:
        """The records that are read."""
        return Footprint(reads=frozenset(self.keys))

    def run(self, store: Any) -> Page:
        """Return the live records under the keys."""
        found = ((key, store.load(key)) for key in self.keys)
        return Page(tuple((key, record) for key, record in found if record is not None), None)

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"read {' and '.join(self.keys) or 'nothing'}"


def scattering(flow: Actor, store: object) -> Actor:
    """Return *flow* with the steps that *store* takes."""
    return relay(flow, _scatter) if isinstance(store, Scattered) else flow


def _scatter(operation: Any) -> Actor:
    match operation:
        case Call("create", (key, _), {"owner": str(owner)}):
            yield Enlist(owner, key)
            return (yield operation)
        case Call("find", (owner, _)):
            return (yield ReadRecords((yield ListKeys(owner))))
        case _:
            return (yield operation)


@dataclass(frozen=True, slots=True)
class Cached:
    """An operation of a host that has a near cache."""

    operation: Any
    cache: NearCache

    @property
    def footprint(self) -> Footprint:
        """Return what the operation may touch."""
        return footprint(self.operation)

    def run(self, store: object) -> Any:
        """Carry it out on the cache, which is in front of *store*."""
        return self.operation.run(self.cache)

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"{describe(self.operation)}, by a cache"


def caching(flow: Actor, cache: NearCache) -> Actor:
    """Return *flow* with its store calls on *cache*."""

    def around(operation: Any) -> Actor:
        return (yield Cached(operation, cache) if isinstance(operation, Call) else operation)

    return relay(flow, around)
