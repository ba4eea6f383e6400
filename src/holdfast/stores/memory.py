"""Sessions in the memory of one process: for tests and small tools, and the reference for every other store."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import operator
import threading
from collections.abc import Iterable, Mapping

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError
from holdfast.stores.contract import Conflict, Gone, HealthFinding, Page, Record, Report, Rotation, Version
from holdfast.stores.shared.answers import page_by_key, refusal, report_owned

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps records in a dict, behind one lock. They end with the process.

    Expired records stay in memory until they are purged or made anew.
    """

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._keys: dict[str, set[str]] = {}
        # One counter for all keys, so that a recreated key never gets a former version.
        self._versions = itertools.count(1)

    @classmethod
    def from_url(cls, url: str, *, clock: Clock = system_clock) -> MemoryStore:
        """Return a new empty store for ``memory://``."""
        if url.partition("://")[2]:
            raise ConfigurationError("a memory store has no path and no host: write memory://")
        return cls(clock=clock)

    def load(self, key: str, /) -> Record | None:
        with self._lock:
            return self._live(key)

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        with self._lock:
            return None if self._live(key) else self._put(key, data, expires_at, owner)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        with self._lock:
            return self._refusal(key, expect) or self._put(key, data, expires_at, owner)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        with self._lock:
            record = self._live(key)
            if record and expires_at > record.expires_at:
                self._records[key] = dataclasses.replace(record, expires_at=expires_at)
            return record is not None

    def delete(self, key: str, /) -> bool:
        with self._lock:
            was_live = self._live(key) is not None
            self._drop(key)
            return was_live

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        with self._lock:
            removed = frozenset(key for key, version in versions.items() if not self._refusal(key, version))
            for key in removed:
                self._drop(key)
        return removed

    def move(self, rotation: Rotation, /) -> Version | Conflict | Gone:
        with self._lock:
            if refused := self._refusal(rotation.old, rotation.expect):
                return refused
            version = self._put(rotation.new, rotation.data, rotation.expires_at, rotation.owner)
            self._put(rotation.old, rotation.tombstone, rotation.grace_until, None)
            return version

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        with self._lock:
            return self._page(self._keys.get(owner, ()), after, limit)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        with self._lock:
            return self._page(self._records, after, limit)

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        with self._lock:
            expired = (key for key, record in self._records.items() if record.expires_at <= now)
            removed = [(key, self._records[key].owner) for key in itertools.islice(expired, limit)]
            for key, _ in removed:
                self._drop(key)
        report_owned(removed, report)
        return len(removed)

    def ping(self) -> None:
        pass

    def check_health(self) -> list[HealthFinding]:
        alone = "each process has sessions of its own, and they end with it"
        return [HealthFinding("durability", alone, "use a store on disk, unless there is one process", ok=None)]

    def close(self) -> None:
        pass

    def _page(self, keys: Iterable[str], after: str | None, limit: int) -> Page:
        found = ((key, record) for key in keys if key > (after or "") and (record := self._live(key)))
        return page_by_key(heapq.nsmallest(limit, found, key=operator.itemgetter(0)), limit)

    def _live(self, key: str) -> Record | None:
        record = self._records.get(key)
        return record if record and record.expires_at > self._clock() else None

    def _refusal(self, key: str, expect: Version) -> Conflict | Gone | None:
        record = self._live(key)
        return None if record and record.version == expect else refusal(record, expect)

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        self._drop(key)
        version = next(self._versions)
        self._records[key] = Record(data, version, expires_at, owner)
        if owner is not None:
            self._keys.setdefault(owner, set()).add(key)
        return version

    def _drop(self, key: str) -> None:
        record = self._records.pop(key, None)
        if record and record.owner is not None:
            keys = self._keys[record.owner]
            keys.remove(key)
            if not keys:
                del self._keys[record.owner]
