"""Stores that are right for one client at a time, with a gap between two steps that should be one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from contract.mutants.table import breaks
from contract.shared import LimitedStore

from holdfast.clock import Clock
from holdfast.errors import RecordTooLarge
from holdfast.records.record import Conflict, Gone, Page, Rotation, Version
from holdfast.stores.contract import Report


def gap() -> None:
    """Let the other threads go on."""
    time.sleep(0.001)


@breaks("test_law_1_one_of_many_creates_wins")
class CreateHasAGap(LimitedStore):
    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        if self.load(key):
            return None
        gap()
        with self._lock:
            return self._put(key, data, expires_at, owner)


@breaks(
    "test_law_2_one_of_many_replaces_wins",
    "test_race_1_and_2_no_change_of_several_writers_is_lost",
    "test_race_3_a_save_racing_a_delete_revives_nothing",
    "test_race_5_a_save_racing_a_rotation_wins_or_loses_whole",
)
class ReplaceHasAGap(LimitedStore):
    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        with self._lock:
            refusal = self._refusal(key, expect)
        if refusal:
            return refusal
        gap()
        with self._lock:
            return self._put(key, data, expires_at, owner)


@breaks("test_race_15_of_ends_at_once_one_ends_it")
class DeleteHasAGap(LimitedStore):
    def delete(self, key: str, /) -> bool:
        existed = self.load(key) is not None
        gap()
        super().delete(key)
        return existed


@breaks("test_race_3_a_save_racing_a_discard_is_one_or_the_other")
class DiscardHasAGap(LimitedStore):
    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        unchanged = {key: version for key, version in versions.items() if not self._refusal(key, version)}
        gap()
        for key in unchanged:
            self.delete(key)
        return frozenset(unchanged)


@breaks("test_law_10_what_is_too_large_is_refused_whole")
class RefusalCountsAsAWrite(LimitedStore):
    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        record = self.load(key)
        try:
            return super().replace(key, data, expect=expect, expires_at=expires_at, owner=owner)
        except RecordTooLarge:
            if record is not None:
                super().replace(key, record.data, expect=expect, expires_at=expires_at, owner=owner)
            raise


@breaks("test_race_4_a_touch_racing_a_delete_revives_nothing", "test_race_4_a_touch_racing_a_save_undoes_nothing")
class TouchHasAGap(LimitedStore):
    def touch(self, key: str, /, *, expires_at: int) -> bool:
        record = self.load(key)
        if record is None:
            return False
        gap()
        self._records[key] = dataclasses.replace(record, expires_at=max(expires_at, record.expires_at))
        return True


@breaks("test_law_10_no_reader_sees_half_a_save")
class ReplaceWritesInTwoSteps(LimitedStore):
    def replace(self, key: str, data: bytes, /, **kwargs: Any) -> Version | Conflict | Gone:
        record = self.load(key)
        if record is not None and record.version == kwargs["expect"]:
            self._records[key] = dataclasses.replace(
                record, data=data[: len(data) // 2] + record.data[len(data) // 2 :]
            )
            gap()
        return super().replace(key, data, **kwargs)


@breaks("test_law_12_no_reader_sees_half_a_move")
class MoveEndsTheOldThenMakesTheNew(LimitedStore):
    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        answer = self.replace(step.old, step.tombstone, expect=step.expect, expires_at=step.grace_until)
        if isinstance(answer, Conflict | Gone):
            return answer
        gap()
        with self._lock:
            return self._put(step.new, step.data, step.expires_at, step.owner)


@breaks("test_race_7_one_of_many_rotations_wins", "test_race_5_a_save_racing_a_rotation_wins_or_loses_whole")
class MoveHasAGap(LimitedStore):
    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        with self._lock:
            refusal = self._refusal(step.old, step.expect)
        if refusal:
            return refusal
        gap()
        with self._lock:
            self._put(step.old, step.tombstone, step.grace_until, None)
            return self._put(step.new, step.data, step.expires_at, step.owner)


@breaks(
    "test_law_6_no_record_is_ever_seen_without_its_index_entry",
    "test_race_8_ending_all_of_an_owner_catches_rotations",
)
class IndexesAfterwards(LimitedStore):
    """The index lists a written record a moment later."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.unlisted: set[str] = set()

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        self.unlisted.add(key)
        return super()._put(key, data, expires_at, owner)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        page = super().find(owner, after, limit=limit)
        return Page(tuple(item for item in page.items if item[0] not in self.unlisted), page.after)

    def create(self, key: str, data: bytes, /, **kwargs: Any) -> Version | None:
        answer = super().create(key, data, **kwargs)
        gap()
        self.unlisted.discard(key)
        return answer

    def replace(self, key: str, data: bytes, /, **kwargs: Any) -> Version | Conflict | Gone:
        answer = super().replace(key, data, **kwargs)
        gap()
        self.unlisted.discard(key)
        return answer

    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        answer = super().move(step)
        gap()
        self.unlisted -= {step.old, step.new}
        return answer


@breaks("test_race_8_ending_all_of_an_owner_catches_rotations")
class FindHidesWhatMoved(LimitedStore):
    """The index is read first, the records after, and one that has moved in between is left out."""

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        keys = [key for key, _ in super().find(owner, after, limit=limit).items]
        gap()
        found = ((key, self.load(key)) for key in keys)
        return Page(tuple((key, record) for key, record in found if record and record.owner == owner), None)


@breaks("test_race_9_concurrent_logins_are_all_in_the_index")
class IndexIsOneValue(LimitedStore):
    """The owner's keys are one value that is read, changed and written."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.lists: dict[str | None, set[str]] = {}

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        keys = self.lists.get(owner, set())
        gap()
        self.lists[owner] = keys | {key}
        return super().create(key, data, expires_at=expires_at, owner=owner)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        page = super().find(owner, after, limit=limit)
        return Page(tuple(item for item in page.items if item[0] in self.lists.get(owner, set())), page.after)


@breaks(
    "test_race_10_what_is_saved_during_a_purge_survives",
    "test_race_10_what_is_made_anew_during_a_purge_survives",
)
class PurgeSelectsThenDeletes(LimitedStore):
    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        keys = [key for key, record in list(self._records.items()) if record.expires_at <= now][:limit]
        gap()
        with self._lock:
            for key in keys:
                self._drop(key)
        return len(keys)
