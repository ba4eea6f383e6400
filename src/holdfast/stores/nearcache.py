"""A read-through cache in the process, in front of any store."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError
from holdfast.records.record import Conflict, Gone, Record, Rotation, Version
from holdfast.stores.contract import CAPABILITIES, Discards, LoadsFresh, Rotates, Store, capabilities_of

__all__ = ["NearCache"]


class NearCache:
    """Answers `load` from memory for a short time. All other calls go to *store*.

    Lookups for permanent decisions go to *store* too: whether a user's sessions were ended during a login, where a
    session has moved, whether a failed write was applied.

    The bound: a record is served for at most *staleness* milliseconds after it was requested from the store. So a
    session that another process ended is served at most that much longer; one that this process ended, not at all.
    Saves stay exact: they carry the version that was read, and a stale one is a conflict like any other.

    Args:
        store: The wrapped store. Closing the cache closes it.
        staleness: The bound, in milliseconds. Default: 1000.
        size: The maximum number of records; the least recently used one is dropped. Default: 10,000.
        clock: The time.
    """

    def __init__(self, store: Store, *, staleness: int = 1000, size: int = 10_000, clock: Clock = system_clock) -> None:
        if staleness <= 0 or size <= 0:
            raise ConfigurationError(f"staleness is {staleness} and size is {size}: both must be greater than 0")
        self._store = store
        self._staleness = staleness
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, tuple[Record, int]] = OrderedDict()
        self._loading: dict[str, object] = {}
        self._written: Counter[str] = Counter()
        # Attributes of the instance, since a method of the class would exist for every store.
        for capability in capabilities_of(store) - {LoadsFresh}:
            method = CAPABILITIES[capability]
            is_ours = capability in {Rotates, Discards}
            setattr(self, method, getattr(self, f"_{method}") if is_ours else getattr(store, method))

    def load(self, key: str, /) -> Record | None:
        now = self._clock()
        with self._lock:
            record, read_at = self._cached.get(key, (None, 0))
            if record is not None and now < min(read_at + self._staleness, record.expires_at):
                self._cached.move_to_end(key)
                return record
        return self._load_from(self._store.load, key, now)

    def load_fresh(self, key: str, /) -> Record | None:
        with self._lock:
            self._cached.pop(key, None)
        return self._load_from(getattr(self._store, "load_fresh", self._store.load), key, self._clock())

    def _load_from(self, load: Callable[[str], Record | None], key: str, now: int) -> Record | None:
        record, ticket = None, object()
        with self._lock:
            if key not in self._written:
                self._loading[key] = ticket
        try:
            record = load(key)
        finally:
            with self._lock:
                # Only the last of several loads keeps its record, unless a write under the key has begun since.
                if self._loading.get(key) is ticket:
                    del self._loading[key]
                    if record is not None:
                        self._keep(key, record, now)
        return record

    def _keep(self, key: str, record: Record, read_at: int) -> None:
        self._cached[key] = record, read_at
        self._cached.move_to_end(key)
        if len(self._cached) > self._size:
            self._cached.popitem(last=False)

    @contextmanager
    def _writing(self, *keys: str) -> Iterator[None]:
        """Keep *keys* out of the cache during a write, and prevent earlier lookups from filling it."""
        with self._lock:
            self._written.update(keys)
            self._forget(keys)
        try:
            yield
        finally:
            with self._lock:
                self._written.subtract(keys)
                self._written += Counter()  # drops the zeros
                self._forget(keys)

    def _forget(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            self._cached.pop(key, None)
            self._loading.pop(key, None)

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        with self._writing(key):
            return self._store.create(key, data, expires_at=expires_at, owner=owner)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        with self._writing(key):
            return self._store.replace(key, data, expect=expect, expires_at=expires_at, owner=owner)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        with self._writing(key):
            return self._store.touch(key, expires_at=expires_at)

    def delete(self, key: str, /) -> bool:
        with self._writing(key):
            return self._store.delete(key)

    def _discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        with self._writing(*versions):
            return cast(Discards, self._store).discard(versions)

    def _move(self, rotation: Rotation, /) -> Version | Conflict | Gone:
        with self._writing(rotation.old, rotation.new):
            return cast(Rotates, self._store).move(rotation)
