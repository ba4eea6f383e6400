"""The cache in the process: the records it serves, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.capabilities import store_with

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.records.record import Conflict, Gone, Rotation
from holdfast.stores.contract import CAPABILITIES, LoadsFresh, capabilities_of
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.testing import CountingStore, FailingStore, FakeClock, StoreContract

KEY = "0" * 64


class TestNearCache(StoreContract):
    """Within one process the cache keeps every law of the store behind it."""

    def open_store(self, place: Path, clock: Clock) -> NearCache:
        return _places.setdefault(place, NearCache(MemoryStore(clock=clock), clock=clock))


_places: dict[Path, NearCache] = {}


class World:
    """A cache with a staleness of one second over a store that others use too."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = CountingStore(MemoryStore(clock=self.clock))
        self.cache = NearCache(self.store, staleness=1000, size=2, clock=self.clock)

    def create(self, key: str = KEY, data: bytes = b"1") -> Any:
        """Make a record that lives for a minute, behind the cache's back."""
        return self.store.create(key, data, expires_at=self.clock() + 60_000)


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def test_a_record_is_read_once_within_the_bound(world: World) -> None:
    """Repeated loads cost one call of the store; after the bound it is asked again."""
    world.create()
    for _ in range(3):
        assert world.cache.load(KEY) is not None
    assert world.store.counts["load"] == 1
    world.clock.advance_ms(1000)
    world.cache.load(KEY)
    assert world.store.counts["load"] == 2


def test_a_session_ended_elsewhere_is_not_served_beyond_the_bound(world: World) -> None:
    """Until a millisecond before the bound it may be; at the bound it is gone."""
    world.create()
    world.cache.load(KEY)
    world.store.delete(KEY)
    world.clock.advance_ms(999)
    assert world.cache.load(KEY) is not None
    world.clock.advance_ms(1)
    assert world.cache.load(KEY) is None


def test_reading_does_not_extend_the_bound(world: World) -> None:
    """The bound counts from when the store was asked, not from the last hit."""
    world.create()
    world.cache.load(KEY)
    world.store.delete(KEY)
    for _ in range(9):
        world.clock.advance_ms(100)
        world.cache.load(KEY)
    world.clock.advance_ms(100)
    assert world.cache.load(KEY) is None


@pytest.mark.parametrize("write", ["delete", "replace", "touch", "move"])
def test_a_write_through_the_cache_is_seen_at_once(world: World, write: str) -> None:
    """This process reads its own writes."""
    version = world.create()
    world.cache.load(KEY)
    later = world.clock() + 120_000
    cache: Any = world.cache
    if write == "delete":
        cache.delete(KEY)
    elif write == "replace":
        cache.replace(KEY, b"2", expect=version, expires_at=later)
    elif write == "touch":
        cache.touch(KEY, expires_at=later)
    else:
        cache.move(Rotation(KEY, "1" * 64, b"2", b"grave", version, later, later))
    assert cache.load(KEY) == world.store.load(KEY)


def test_a_fill_that_races_a_deletion_does_not_bring_it_back(world: World) -> None:
    """A record that was read before the deletion and arrives after it is not kept."""
    world.create()
    inner = world.store.load

    def slow_load(key: str) -> Any:
        record = inner(key)
        world.cache.delete(KEY)
        return record

    world.store.load = slow_load  # type: ignore[method-assign]  # the deletion falls between reading and filling
    world.cache.load(KEY)
    world.store.load = inner  # type: ignore[method-assign]
    assert world.cache.load(KEY) is None


def test_a_failed_write_is_not_assumed_to_have_failed(world: World) -> None:
    """When the answer to a deletion was lost, the cache asks the store again."""
    failing = FailingStore(MemoryStore(clock=world.clock))
    cache = NearCache(failing, clock=world.clock)
    cache.create(KEY, b"1", expires_at=world.clock() + 60_000)
    cache.load(KEY)
    failing.fail("delete", before=False)
    with pytest.raises(StoreUnavailable):
        cache.delete(KEY)
    assert cache.load(KEY) is None


def test_a_save_from_a_stale_read_is_a_conflict(world: World) -> None:
    """The cache does not weaken compare-and-set."""
    world.create()
    stale = world.cache.load(KEY)
    assert stale is not None
    later = world.clock() + 60_000
    assert not isinstance(world.store.replace(KEY, b"2", expect=stale.version, expires_at=later), Conflict | Gone)
    assert isinstance(world.cache.replace(KEY, b"3", expect=stale.version, expires_at=later), Conflict)


def test_an_expired_record_is_not_served(world: World) -> None:
    """The record's own deadline ends it within the bound too."""
    world.store.create(KEY, b"1", expires_at=world.clock() + 10)
    world.cache.load(KEY)
    world.clock.advance_ms(10)
    assert world.cache.load(KEY) is None


def test_the_least_recently_used_record_goes(world: World) -> None:
    """The cache holds no more records than its size."""
    keys = [digit * 64 for digit in "123"]
    for key in keys:
        world.create(key)
        world.cache.load(key)
    world.store.reset()
    world.cache.load(keys[2])
    world.cache.load(keys[1])
    assert world.store.counts["load"] == 0
    world.cache.load(keys[0])
    assert world.store.counts["load"] == 1


@pytest.mark.parametrize("wrong", [{"staleness": 0}, {"size": 0}])
def test_its_bounds_must_be_positive(wrong: dict[str, Any]) -> None:
    """Zero is refused."""
    with pytest.raises(ConfigurationError):
        NearCache(MemoryStore(), **wrong)


@pytest.mark.parametrize(
    "capabilities", [frozenset(), frozenset(CAPABILITIES), *({capability} for capability in CAPABILITIES)]
)
def test_it_has_the_capabilities_of_its_store(capabilities: frozenset[type]) -> None:
    """It can do just what its store can, and load past itself."""
    assert capabilities_of(NearCache(store_with(capabilities))) == capabilities | {LoadsFresh}
