"""Two stores as one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.capabilities import keys_of, store_with

from holdfast.clock import Clock
from holdfast.records.record import Conflict, Gone, Page
from holdfast.stores.contract import (
    CAPABILITIES,
    Confirms,
    Discards,
    Indexes,
    Iterates,
    KeepsTime,
    Purges,
    Rotates,
    capabilities_of,
)
from holdfast.stores.memory import MemoryStore
from holdfast.stores.pair import PairStore
from holdfast.testing import CountingStore, FakeClock, StoreContract

KEY = "0" * 64


class TestPair(StoreContract):
    """The pair keeps the laws for records that begin in the new store."""

    def open_store(self, place: Path, clock: Clock) -> PairStore:
        new, old = _places.setdefault(place, (MemoryStore(clock=clock), MemoryStore(clock=clock)))
        return PairStore(new, old)


_places: dict[Path, tuple[MemoryStore, MemoryStore]] = {}


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


@pytest.fixture
def old(clock: FakeClock) -> MemoryStore:
    """A store with one record in it."""
    store = MemoryStore(clock=clock)
    store.create(KEY, b"1", expires_at=clock() + 1000, owner="u")
    return store


@pytest.fixture
def new(clock: FakeClock) -> MemoryStore:
    """An empty store."""
    return MemoryStore(clock=clock)


@pytest.fixture
def pair(new: MemoryStore, old: MemoryStore) -> PairStore:
    """Both as one."""
    return PairStore(new, old)


def replaced(pair: PairStore, clock: FakeClock, version: Any, data: bytes = b"2") -> Any:
    """Return what a replace answers."""
    return pair.replace(KEY, data, expect=version, expires_at=clock() + 1000, owner="u")


def loaded(pair: PairStore) -> Any:
    """Return the record."""
    return pair.load(KEY)


def test_a_record_moves_when_it_is_written(
    pair: PairStore, new: MemoryStore, old: MemoryStore, clock: FakeClock
) -> None:
    """Reading leaves it where it is; writing takes it over, and it is in one place only."""
    record = loaded(pair)
    assert (record.data, record.owner) == (b"1", "u")
    assert new.load(KEY) is None
    assert not isinstance(replaced(pair, clock, record.version), Conflict | Gone)
    assert old.load(KEY) is None
    assert loaded(pair).data == b"2"
    assert not isinstance(replaced(pair, clock, loaded(pair).version, b"3"), Conflict | Gone)
    assert loaded(pair).data == b"3"


def test_one_of_two_writers_moves_it(pair: PairStore, clock: FakeClock) -> None:
    """The other gets the conflict, with the current record."""
    version = loaded(pair).version
    replaced(pair, clock, version)
    answer = replaced(pair, clock, version, b"3")
    assert isinstance(answer, Conflict)
    assert answer.current == loaded(pair)


@pytest.mark.parametrize("moved", [False, True])
def test_a_deleted_record_stays_deleted(
    pair: PairStore, new: MemoryStore, old: MemoryStore, clock: FakeClock, moved: bool
) -> None:
    """In either store, deletion ends it."""
    version = loaded(pair).version
    if moved:
        replaced(pair, clock, version)
    assert pair.delete(KEY)
    assert isinstance(replaced(pair, clock, version), Gone)
    assert loaded(pair) is None
    assert new.load(KEY) is None
    assert old.load(KEY) is None


def test_a_deletion_while_a_record_moves_wins(new: MemoryStore, old: MemoryStore, clock: FakeClock) -> None:
    """Between the creation in the new store and the removal from the old one, a deletion makes the move fail."""

    class Deleting(MemoryStore):
        def create(self, *args: Any, **kwargs: Any) -> Any:
            version = super().create(*args, **kwargs)
            assert PairStore(self, old).delete(KEY)
            return version

    pair = PairStore(Deleting(clock=clock), old)
    assert isinstance(replaced(pair, clock, loaded(pair).version), Gone)
    assert loaded(pair) is None


@pytest.mark.parametrize("migrates", [False, True])
def test_a_save_while_a_record_moves_loses_nothing(
    new: MemoryStore, old: MemoryStore, clock: FakeClock, migrates: bool
) -> None:
    """Between the creation in the new store and the removal from the old one, another request saves: it stays."""

    class Saving(MemoryStore):
        def create(self, *args: Any, **kwargs: Any) -> Any:
            version = super().create(*args, **kwargs)
            other = PairStore(self, old)
            assert not isinstance(replaced(other, clock, loaded(other).version, b"3"), Conflict | Gone)
            return version

    pair = PairStore(Saving(clock=clock), old)
    if migrates:
        assert pair.migrate(KEY)
    else:
        assert not isinstance(replaced(pair, clock, loaded(pair).version), Conflict | Gone)
    assert loaded(pair).data == b"3"
    assert old.load(KEY) is None


def test_what_a_killed_process_left_does_not_come_back(
    pair: PairStore, new: MemoryStore, old: MemoryStore, clock: FakeClock
) -> None:
    """A record in both stores is the new one's, and the next write removes the other copy."""
    new.create(KEY, b"2", expires_at=clock() + 1000)
    record = loaded(pair)
    assert record.data == b"2"
    pair.replace(KEY, b"tombstone", expect=record.version, expires_at=clock() + 10)
    clock.advance_ms(10)
    assert loaded(pair) is None


def test_a_record_that_moves_while_it_is_read_is_found(new: MemoryStore, old: MemoryStore, clock: FakeClock) -> None:
    """It may leave the old store after the new one was asked."""

    class Leaving(MemoryStore):
        def load(self, key: str, /) -> Any:
            new.create(KEY, b"2", expires_at=clock() + 1000)
            old.delete(KEY)
            return old.load(key)

    assert loaded(PairStore(new, Leaving(clock=clock))).data == b"2"


def test_listing_and_walking_cover_both(pair: PairStore, clock: FakeClock) -> None:
    """Records of either store are in the index, in the scan, and purged."""
    assert isinstance(pair, Indexes)
    assert isinstance(pair, Iterates)
    assert isinstance(pair, Purges)
    other = "1" * 64
    pair.create(other, b"2", expires_at=clock() + 1000, owner="u")
    assert {KEY, other} == set(keys_of(pair, "u"))
    seen, after = set(), None
    while True:
        page = pair.scan(after, limit=1)
        seen |= {key for key, _ in page.items}
        after = page.after
        if after is None:
            break
    assert {KEY, other} == seen
    clock.advance_ms(1000)
    assert pair.purge(clock(), limit=10) == 2


@pytest.mark.parametrize("page", [lambda pair: pair.find("u"), lambda pair: pair.scan()])
def test_a_record_of_a_page_can_be_replaced(pair: PairStore, clock: FakeClock, page: Callable[[Any], Page]) -> None:
    """A record that is still in the old store comes in a page with the version that a save expects."""
    [(key, record)] = page(pair).items
    assert record == pair.load(key)
    assert not isinstance(replaced(pair, clock, record.version), Conflict | Gone)
    assert loaded(pair).data == b"2"


def test_a_touch_finds_the_record(pair: PairStore, old: MemoryStore, clock: FakeClock) -> None:
    """A record that has not moved yet is touched where it is."""
    assert pair.touch(KEY, expires_at=clock() + 5000)
    record = old.load(KEY)
    assert record is not None
    assert clock() + 5000 == record.expires_at


def test_reading_what_has_moved_costs_one_call(clock: FakeClock) -> None:
    """The old store is asked only for what the new one does not have."""
    new, old = CountingStore(MemoryStore(clock=clock)), CountingStore(MemoryStore(clock=clock))
    pair = PairStore(new, old)
    pair.create(KEY, b"1", expires_at=clock() + 1000)
    new.reset()
    old.reset()
    loaded(pair)
    assert dict(new.counts) == {"load": 1}
    assert dict(old.counts) == {}


def test_it_offers_what_both_stores_together_can_do() -> None:
    """It lists and walks if both stores do, confirms and keeps time if the new one does; else what either does."""
    alone = [frozenset({capability}) for capability in CAPABILITIES]
    for new, old in itertools.product([frozenset(), frozenset(CAPABILITIES), *alone], repeat=2):
        expected = (new | old) - {Rotates, Discards}
        expected -= {Indexes, Iterates} - (new & old)
        expected -= {Confirms, KeepsTime} - new
        assert capabilities_of(PairStore(store_with(new), store_with(old))) == expected
