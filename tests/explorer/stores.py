"""The memory store in four shapes, each with the capabilities that a kind of backend has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from holdfast.operations import Create
from holdfast.store import Store
from holdfast.stores.memory import MemoryStore
from holdfast.testing.clock import FakeClock
from holdfast.testing.explorer import Actor, Footprint
from holdfast.testing.wrappers import StoreWrapper


class Atomic(MemoryStore):
    """It rotates in one step, as SQL and a single Redis do. The index is listed in a fixed order."""

    backwards = False

    def keys_of(self, owner: str, /) -> list[str]:
        """Return the keys of the live records with *owner*."""
        return sorted(super().keys_of(owner), reverse=self.backwards)


class Backwards(Atomic):
    """The same, with the index in the opposite order."""

    backwards = True


class Stepwise(StoreWrapper):
    """It has no `move`, so that the core rotates in steps."""

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(Atomic(clock=clock))
        del self.move  # type: ignore[attr-defined]  # the instance has what the store inside has


class Scattered(Stepwise):
    """Its index is elsewhere, as in a Redis Cluster: written one step before the record, and never rid of a key."""

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.index: dict[str, list[str]] = {}

    def keys_of(self, owner: str, /) -> list[str]:
        """Return every key that ever had *owner*, or is about to."""
        return sorted(self.index.get(owner, ()))


Backend = Callable[..., Store]
BACKENDS: tuple[type[Atomic | Stepwise], ...] = (Atomic, Backwards, Stepwise, Scattered)


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
    return _enlisting(flow) if isinstance(store, Scattered) else flow


def _enlisting(flow: Actor) -> Actor:
    answer = None
    while True:
        try:
            operation = flow.send(answer)
        except StopIteration as stop:
            return stop.value
        if isinstance(operation, Create) and operation.owner is not None:
            yield Enlist(operation.owner, operation.key)
        answer = yield operation
