"""Stores that break a law about one record."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

from contract.mutants.table import breaks
from contract.shared import LIMIT, LimitedStore

from holdfast.records.record import Conflict, Gone, Record, Version
from holdfast.testing import StoreWrapper

EXPIRED = "test_law_5_an_expired_record_is_not_there"


# --- one record ------------------------------------------------------------------------------------------------------


@breaks("test_a_record_comes_back_as_it_was_made")
class ForgetsTheOwner(LimitedStore):
    def load(self, key: str, /) -> Record | None:
        record = super().load(key)
        return record and dataclasses.replace(record, owner=None)


@breaks("test_a_record_comes_back_as_it_was_made")
class CountsInSeconds(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data, expires_at // 7000 * 7000, owner)


@breaks("test_a_replaced_record_comes_back_as_it_was_written")
class ReplaceKeepsTheExpiry(LimitedStore):
    def replace(self, key: str, data: bytes, /, **kwargs: Any) -> Version | Conflict | Gone:
        record = self.load(key)
        return super().replace(key, data, **{**kwargs, "expires_at": record.expires_at if record else 0})


@breaks("test_a_replaced_record_comes_back_as_it_was_written", "test_law_3_the_deleted_stays_deleted")
class RemembersWhatItLoaded(StoreWrapper):
    """Each client keeps what it loaded."""

    def load(self, key: str, /) -> Record | None:
        cache = self.__dict__.setdefault("cache", {})
        if key not in cache:
            cache[key] = self.store.load(key)
        record: Record | None = cache[key]
        return record

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        del self.__dict__["load"]


@breaks("test_nothing_is_under_a_key_that_was_never_made")
class LoadMakesRecords(LimitedStore):
    def load(self, key: str, /) -> Record | None:
        record = super().load(key)
        if record is None:
            self.create(key, b"", expires_at=self._clock() + 60_000)
        return record


@breaks("test_keys_that_begin_alike_are_apart")
class CutsKeys(LimitedStore):
    def create(self, key: str, data: bytes, /, **kwargs: Any) -> Version | None:
        return super().create(key[:60], data, **kwargs)

    def load(self, key: str, /) -> Record | None:
        return super().load(key[:60])


@breaks("test_law_1_create_never_overwrites")
class CreateOverwrites(LimitedStore):
    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version:
        return self._put(key, data, expires_at, owner)


@breaks("test_law_2_replace_needs_the_current_version")
class ReplaceIgnoresTheVersion(LimitedStore):
    def _refusal(self, key: str, expect: Version) -> Conflict | Gone | None:
        return None if self._live(key) else Gone()


@breaks("test_law_2_replace_needs_the_current_version")
class ConflictTellsAnOldVersion(LimitedStore):
    def _refusal(self, key: str, expect: Version) -> Conflict | Gone | None:
        refusal = super()._refusal(key, expect)
        if isinstance(refusal, Conflict) and refusal.current:
            return Conflict(dataclasses.replace(refusal.current, version=expect))
        return refusal


@breaks("test_law_2_every_write_has_a_version_of_its_own", "test_law_3_a_version_from_before_the_delete_never_matches")
class VersionIsAHash(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        super()._put(key, data, expires_at, owner)
        version = hashlib.sha256(data).digest()
        self._records[key] = dataclasses.replace(self._records[key], version=version)
        return version


@breaks("test_law_3_the_deleted_stays_deleted", "test_nothing_is_under_a_key_that_was_never_made")
class ReplaceRevives(LimitedStore):
    def _refusal(self, key: str, expect: Version) -> Conflict | Gone | None:
        refusal = super()._refusal(key, expect)
        return None if refusal == Gone() else refusal


@breaks("test_law_3_the_deleted_stays_deleted")
class TouchAlwaysSaysYes(LimitedStore):
    def touch(self, key: str, /, *, expires_at: int) -> bool:
        super().touch(key, expires_at=expires_at)
        return True


@breaks(
    "test_law_3_a_version_from_before_the_delete_never_matches",
    "test_law_5_create_takes_the_place_of_an_expired_record",
    "test_purge_removes_only_the_expired_and_at_most_its_limit",
    "test_random_calls_are_answered_as_the_reference_answers_them",
)
class CountsFromOneAgain(LimitedStore):
    """The version is kept in the record, so it starts again with every record."""

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        record = self._live(key)
        super()._put(key, data, expires_at, owner)
        version = int(record.version) + 1 if record else 1
        self._records[key] = dataclasses.replace(self._records[key], version=version)
        return version


@breaks("test_law_4_touch_only_lengthens")
class TouchIsAWrite(LimitedStore):
    def touch(self, key: str, /, *, expires_at: int) -> bool:
        record = self.load(key)
        if record:
            self._put(key, record.data, max(expires_at, record.expires_at), record.owner)
        return record is not None


@breaks("test_law_4_touch_only_lengthens", "test_random_calls_are_answered_as_the_reference_answers_them")
class TouchShortens(LimitedStore):
    def touch(self, key: str, /, *, expires_at: int) -> bool:
        record = self.load(key)
        if record:
            self._records[key] = dataclasses.replace(record, expires_at=expires_at)
        return record is not None


@breaks("test_law_4_only_the_touched_lives_longer")
class TouchDoesNothing(LimitedStore):
    def touch(self, key: str, /, *, expires_at: int) -> bool:
        return self.load(key) is not None


# --- expiry ----------------------------------------------------------------------------------------------------------


class TimeBlindStore(LimitedStore):
    """Answers as if no time had passed, when told to."""

    blind = False

    def _live(self, key: str) -> Record | None:
        return self._records.get(key) if self.blind else super()._live(key)

    def blindly(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return what *call* returns to someone who does not look at the clock."""
        self.blind = True
        try:
            return call(*args, **kwargs)
        finally:
            self.blind = False


@breaks(EXPIRED, "test_law_4_only_the_touched_lives_longer")
class LoadsTheExpired(TimeBlindStore):
    def load(self, key: str, /) -> Record | None:
        record: Record | None = self.blindly(super().load, key)
        return record


@breaks(EXPIRED)
class ReplacesTheExpired(TimeBlindStore):
    def replace(self, key: str, data: bytes, /, **kwargs: Any) -> Any:
        return self.blindly(super().replace, key, data, **kwargs)


@breaks(EXPIRED, "test_law_5_a_record_expires_at_its_millisecond")
class TouchesTheExpired(TimeBlindStore):
    def touch(self, key: str, /, *, expires_at: int) -> Any:
        return self.blindly(super().touch, key, expires_at=expires_at)


@breaks(EXPIRED)
class DeletesTheExpired(TimeBlindStore):
    def delete(self, key: str, /) -> Any:
        return self.blindly(super().delete, key)


@breaks(EXPIRED)
class ListsTheExpired(TimeBlindStore):
    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Any:
        return self.blindly(super().find, owner, after, limit=limit)


@breaks(EXPIRED)
class ScansTheExpired(TimeBlindStore):
    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Any:
        return self.blindly(super().scan, after, limit=limit)


@breaks("test_law_5_create_takes_the_place_of_an_expired_record")
class TheExpiredIsInTheWay(TimeBlindStore):
    def create(self, key: str, data: bytes, /, **kwargs: Any) -> Any:
        return self.blindly(super().create, key, data, **kwargs)


@breaks("test_law_5_a_record_expires_at_its_millisecond")
class ExpiresAMillisecondLate(LimitedStore):
    def _live(self, key: str) -> Record | None:
        record = self._records.get(key)
        return record if record and record.expires_at >= self._clock() else None


@breaks("test_law_5_a_record_may_be_born_expired")
class TakesThePastForEver(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data, expires_at if expires_at > self._clock() else 2**53, owner)


@breaks("test_law_5_a_long_life_is_kept")
class TakesLongForThePast(LimitedStore):
    """A lifetime over thirty days is read as a date, as memcached does."""

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        seconds = (expires_at - self._clock()) // 1000
        return super()._put(key, data, expires_at if seconds <= 30 * 86_400 else seconds * 1000, owner)


@breaks("test_law_7_delete_is_idempotent")
class DeleteAlwaysSaysYes(LimitedStore):
    def delete(self, key: str, /) -> bool:
        super().delete(key)
        return True


# --- data ------------------------------------------------------------------------------------------------------------


@breaks("test_law_10_data_comes_back_as_it_went_in")
class KeepsText(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data.decode(errors="replace").encode(), expires_at, owner)


@breaks("test_law_10_data_comes_back_as_it_went_in")
class KeepsLittle(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data[:65_535], expires_at, owner)


@breaks("test_law_10_data_comes_back_as_it_went_in")
class ReturnsWhatCanBeChanged(LimitedStore):
    def load(self, key: str, /) -> Record | None:
        record = super().load(key)
        return record and dataclasses.replace(record, data=bytearray(record.data))  # type: ignore[arg-type]  # the mistake


@breaks("test_law_10_what_is_too_large_is_refused_whole")
class CutsWhatIsTooLarge(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        return super()._put(key, data[:LIMIT], expires_at, owner)


@breaks("test_law_10_what_is_too_large_is_refused_whole")
class DropsBeforeItRefuses(LimitedStore):
    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        self._drop(key)
        return super()._put(key, data, expires_at, owner)
