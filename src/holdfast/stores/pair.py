"""Two stores as one, for migrating sessions from one to the other while the application runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from holdfast.records.record import Conflict, Gone, Page, Record, Version
from holdfast.stores import contract

__all__ = ["PairStore"]

#: Marks the version of a record that is still in the old store.
_OLD = "old:"

#: The capabilities of a pair that are those of its new store.
_OF_NEW = frozenset[type]((contract.Confirms, contract.KeepsTime))


class PairStore:
    """Reads from *new* and then from *old*, writes to *new*. A record moves at its first write.

    After all records in *old* have expired or moved, configure *new* alone. Until then, every process of the
    application must use the pair: one that uses *old* alone does not find what the pair has moved.

    A record is moved by deleting it in the old store, after it was created in the new one. Only one of several requests
    succeeds, and a deletion is tried on the old store first, so that a moving record cannot escape it.
    """

    def __init__(self, new: contract.Store, old: contract.Store) -> None:
        self._new = new
        self._old = old
        # Those of either store, except those that need both, or the new one.
        have_new, have_old = contract.capabilities_of(new), contract.capabilities_of(old)
        needs_both = {contract.Indexes, contract.Iterates} - (have_new & have_old)
        left_out = {contract.Rotates, contract.Discards} | needs_both | (_OF_NEW - have_new)
        for capability in (have_new | have_old) - left_out:
            method = contract.CAPABILITIES[capability]
            is_of_new = capability in _OF_NEW
            setattr(self, method, getattr(new, method) if is_of_new else getattr(self, f"_{method}"))

    def _with(self, capability: type) -> list[Any]:
        """Return those of the two stores that have *capability*, the new one first."""
        return [store for store in (self._new, self._old) if isinstance(store, capability)]

    def load(self, key: str, /) -> Record | None:
        return self._new.load(key) or self._load_old(key) or self._new.load(key)

    def _load_fresh(self, key: str, /) -> Record | None:
        new = getattr(self._new, "load_fresh", self._new.load)
        record: Record | None = new(key) or self._load_old(key, fresh=True) or new(key)
        return record

    def _load_old(self, key: str, *, fresh: bool = False) -> Record | None:
        load = getattr(self._old, "load_fresh", self._old.load) if fresh else self._old.load
        record: Record | None = load(key)
        return record and _as_old(record)

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        if self._old.load(key) is not None:
            return None
        return self._new.create(key, data, expires_at=expires_at, owner=owner)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        if not (isinstance(expect, str) and expect.startswith(_OLD)):
            answer = self._new.replace(key, data, expect=expect, expires_at=expires_at, owner=owner)
            self._old.delete(key)  # a killed process may have left it there during the move
            return answer
        old = self._load_old(key)
        if old is None or old.version != expect:
            current = self.load(key)
            return Gone() if current is None else Conflict(current)
        version = self._new.create(key, data, expires_at=expires_at, owner=owner)
        if version is None:
            return Conflict(self._new.load(key))
        if self._old.delete(key):
            return version
        moved = self._new.load(key)
        if moved is not None and moved.version != version:  # a later write has removed the other copy
            return version
        self._new.delete(key)
        return Gone()

    def migrate(self, key: str, /) -> bool:
        """Move the record under *key* to the new store unchanged. Return False if there is none to move."""
        record = self._load_old(key)
        if record is None:
            return False
        answer = self.replace(key, record.data, expect=record.version, expires_at=record.expires_at, owner=record.owner)
        return not isinstance(answer, Conflict | Gone)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        return (
            self._new.touch(key, expires_at=expires_at)
            or self._old.touch(key, expires_at=expires_at)
            or self._new.touch(key, expires_at=expires_at)
        )

    def delete(self, key: str, /) -> bool:
        in_old = self._old.delete(key)
        return self._new.delete(key) or in_old

    def _find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        return self._page(after, lambda store, rest: store.find(owner, rest, limit=limit))

    def _scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return self._page(after, lambda store, rest: store.scan(rest, limit=limit))

    def _page(self, after: str | None, read: Callable[[Any, str | None], Page]) -> Page:
        """Scan the old store and then the new one: a record that moves meanwhile is returned at least once."""
        which, _, rest = (after or _OLD).partition(":")
        is_old = which == "old"
        page = read(self._old if is_old else self._new, rest or None)
        items = tuple((key, _as_old(record)) for key, record in page.items) if is_old else page.items
        if page.after is not None:
            return Page(items, f"{which}:{page.after}")
        return Page(items, "new:" if is_old else None)

    def _purge(self, now: int, /, *, limit: int = 1000, report: contract.Report | None = None) -> int:
        removed = 0
        for store in reversed(self._with(contract.Purges)):
            removed += store.purge(now, limit=limit - removed, report=report)
        return removed

    def _ping(self) -> None:
        for store in self._with(contract.Pings):
            store.ping()

    def _missing(self) -> str | None:
        return next(filter(None, (store.missing() for store in self._with(contract.Needs))), None)

    def _prepare(self) -> None:
        for store in self._with(contract.Prepares):
            store.prepare()

    def _check_health(self) -> list[contract.HealthFinding]:
        return [
            replace(finding, name=f"{finding.name}, {'new' if store is self._new else 'old'} store")
            for store in self._with(contract.ChecksHealth)
            for finding in store.check_health()
        ]

    def _close(self) -> None:
        with contextlib.ExitStack() as stack:
            for store in self._with(contract.Closes):
                stack.callback(store.close)


def _as_old(record: Record) -> Record:
    """Return *record* with a version that marks it as still in the old store."""
    return replace(record, version=f"{_OLD}{type(record.version).__name__}:{record.version!r}")
