"""Stores that break a law about the index, the scan, the rotation or the purge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from contract.mutants.table import breaks
from contract.shared import LimitedStore

from holdfast.clock import Clock
from holdfast.records.record import Conflict, Gone, Page, Record, Rotation, Version
from holdfast.stores.contract import Report
from holdfast.stores.memory import MemoryStore
from holdfast.testing import StoreWrapper

# --- load -------------------------------------------------------------------------------------------------------------


@breaks("test_a_fresh_load_has_what_another_client_wrote")
class LoadsWhatItKnows(StoreWrapper):
    """Answers from a cache, however it is asked."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        known: dict[str, Record | None] = {}
        load = self.load

        def cached(key: str, /) -> Record | None:
            if key not in known:
                known[key] = load(key)
            return known[key]

        self.load = self.load_fresh = cached  # type: ignore[method-assign]


# --- discard ----------------------------------------------------------------------------------------------------------


@breaks("test_law_7_discard_removes_the_unchanged")
class DiscardOfAnyVersionStore(LimitedStore):
    """It also discards a record that was saved since."""

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        """Remove what is there under the keys."""
        return frozenset(key for key in versions if self.delete(key))


@breaks("test_law_7_discard_removes_the_unchanged")
class DiscardOfTheExpiredStore(LimitedStore):
    """It takes an expired record that it still has for one that it ends."""

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        """Return the keys of the expired, too."""
        expired = {key for key in versions if key in self._records and self.load(key) is None}
        return super().discard(versions) | expired


# --- index ------------------------------------------------------------------------------------------------------------


class LooseIndexStore(LimitedStore):
    """Its index leads to every record that ever had the owner, which a store's may."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.ever: defaultdict[str, list[str]] = defaultdict(list)

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        if owner is not None:
            self.ever[owner].append(key)
        return super()._put(key, data, expires_at, owner)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        with self._lock:
            return self._page(set(self.ever[owner]), after, limit)


@breaks(
    "test_law_6_a_walk_of_the_index_has_every_record",
    "test_law_11_the_index_entry_moves_with_the_owner",
)
class IndexesOnlyWhatIsCreated(LooseIndexStore):
    def replace(self, key: str, data: bytes, /, **kwargs: Any) -> Version | Conflict | Gone:
        before = {owner: [k for k in keys if k != key] for owner, keys in self.ever.items()}
        answer = super().replace(key, data, **kwargs)
        self.ever = defaultdict(list, before)
        return answer


@breaks("test_law_6_a_walk_of_the_index_has_every_record")
class IndexesTheFirstExpiry(LimitedStore):
    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.deadlines: dict[str, int] = {}

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        self.deadlines[key] = expires_at
        return super()._put(key, data, expires_at, owner)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        page = super().find(owner, after, limit=limit)
        return Page(tuple(item for item in page.items if self.deadlines[item[0]] > self._clock()), page.after)


@breaks(
    "test_law_6_a_walk_of_the_index_has_every_record",
    "test_law_7_delete_is_idempotent",
    "test_law_11_the_index_entry_moves_with_the_owner",
    "test_law_12_move_makes_the_new_and_supersedes_the_old",
    "test_race_9_concurrent_logins_are_all_in_the_index",
)
class IndexHasCopies(LimitedStore):
    """Its index has a copy of each record as it was when its owner was set."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.copies: defaultdict[str, dict[str, Record]] = defaultdict(dict)

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        version = super()._put(key, data, expires_at, owner)
        if owner is not None:
            self.copies[owner].setdefault(key, self._records[key])
        return version

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        return Page(tuple(self.copies[owner].items()), None)


@breaks("test_law_6_a_walk_of_the_index_has_every_record")
class FindLosesTheLast(LimitedStore):
    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        page = super().find(owner, after, limit=limit)
        return Page(page.items[:-1] if after else page.items, page.after)


@breaks("test_law_6_a_walk_of_the_index_has_every_record")
class FindStartsAgain(LimitedStore):
    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        return super().find(owner, None, limit=limit)


@breaks("test_law_6_a_walk_of_the_index_includes_what_lasts")
class FindCountsPlaces(LimitedStore):
    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        start = int(after or 0)
        keys = sorted(self._keys.get(owner, ()))[start : start + limit]
        items = tuple((key, record) for key in keys if (record := self.load(key)))
        return Page(items, str(start + limit) if keys else None)


@breaks("test_law_6_a_walk_of_the_index_goes_on_after_a_deleted_record")
class FindNeedsItsPlace(LimitedStore):
    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        gone = after is not None and after not in self._records
        return Page((), None) if gone else super().find(owner, after, limit=limit)


@breaks("test_law_6_odd_owners_do_not_mix")
class OwnersAreCutShort(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data, expires_at, owner and owner.strip())


@breaks("test_law_6_odd_owners_do_not_mix")
class EmptyOwnerIsNone(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data, expires_at, owner or None)


@breaks("test_law_11_the_index_entry_moves_with_the_owner")
class UnindexesBeforeItChecks(LooseIndexStore):
    def replace(self, key: str, data: bytes, /, **kwargs: Any) -> Version | Conflict | Gone:
        for keys in self.ever.values():
            keys[:] = [each for each in keys if each != key]
        return super().replace(key, data, **kwargs)


# --- scan ------------------------------------------------------------------------------------------------------------


@breaks("test_law_9_scan_yields_every_live_record_once_through")
class ScanLosesTheLast(LimitedStore):
    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        page = super().scan(after, limit=limit)
        return Page(page.items[:-1], page.after)


@breaks("test_law_9_scan_yields_every_live_record_once_through")
class ScanStartsAgain(LimitedStore):
    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return super().scan(None, limit=limit)


@breaks("test_law_9_scan_yields_every_live_record_once_through")
class ScanOfNothingGoesOn(LimitedStore):
    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        page = super().scan(after, limit=limit)
        return page if page.items else Page((), "0")


@breaks("test_law_9_scan_stands_inserts_and_deletes")
class ScanCountsPlaces(LimitedStore):
    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        start = int(after or 0)
        keys = list(self._records)[start : start + limit]
        items = tuple((key, record) for key in keys if (record := self.load(key)))
        return Page(items, str(start + limit) if keys else None)


@breaks("test_law_9_scan_goes_on_after_a_deleted_record")
class ScanNeedsItsPlace(LimitedStore):
    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return super().scan(after, limit=limit) if after is None or after in self._records else Page((), None)


# --- move ------------------------------------------------------------------------------------------------------------


@breaks("test_law_12_move_makes_the_new_and_supersedes_the_old")
class MoveRemovesTheOld(LimitedStore):
    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        answer = super().move(step)
        if not isinstance(answer, Conflict):
            self.delete(step.old)
        return answer


@breaks("test_law_12_move_makes_the_new_and_supersedes_the_old")
class MoveLeavesTheOwner(LimitedStore):
    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        record = self.load(step.old)
        answer = super().move(step)
        if record and not isinstance(answer, Conflict):
            self._put(step.old, step.tombstone, step.grace_until, record.owner)
        return answer


@breaks("test_law_12_a_refused_move_does_nothing")
class MoveMakesTheNewFirst(LimitedStore):
    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        self._put(step.new, step.data, step.expires_at, step.owner)
        return super().move(step)


@breaks("test_law_10_what_is_too_large_is_refused_whole")
class MoveEndsTheOldFirst(LimitedStore):
    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        if refusal := self._refusal(step.old, step.expect):
            return refusal
        self._put(step.old, step.tombstone, step.grace_until, None)
        return self._put(step.new, step.data, step.expires_at, step.owner)


# --- purge, ping, close ----------------------------------------------------------------------------------------------


@breaks("test_purge_removes_only_the_expired_and_at_most_its_limit")
class PurgeHasNoLimit(LimitedStore):
    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        return super().purge(now)


@breaks("test_purge_removes_only_the_expired_and_at_most_its_limit")
class PurgeGoesByItsOwnClock(LimitedStore):
    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        return super().purge(self._clock(), limit=limit, report=report)


@breaks("test_purge_removes_only_the_expired_and_at_most_its_limit")
class PurgeTakesTheLiving(LimitedStore):
    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        purged = super().purge(now, limit=limit, report=report)
        return purged or super().purge(2**53, limit=limit) * 0


@breaks("test_purge_reports_whose_records_it_removed")
class PurgesInSilence(LimitedStore):
    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        return super().purge(now, limit=limit)


@breaks("test_a_host_whose_clock_is_ahead_purges_no_live_record")
class PurgeTrustsTheHost(LimitedStore):
    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        return MemoryStore.purge(self, now, limit=limit, report=report)


@breaks("test_ping_returns_while_the_store_answers")
class PingAlwaysFails(LimitedStore):
    def ping(self) -> None:
        raise AssertionError("ping raised")


@breaks("test_close_can_be_called_twice_and_ends_no_record")
class CloseEndsEverything(LimitedStore):
    def close(self) -> None:
        self._records.clear()
