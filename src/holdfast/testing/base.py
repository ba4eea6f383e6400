"""The base of the contract's tests: the hooks that a backend implements, the store under test, and time."""

from __future__ import annotations

import abc
import enum
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

from holdfast.clock import Clock, system_clock
from holdfast.stores.contract import Closes, Gone, Indexes, Iterates, Page, Purges, Record, Rotation, Store, Version
from holdfast.testing.clock import FakeClock
from holdfast.testing.concurrency import TOMBSTONE, is_version


class Fault(enum.Enum):
    """The kinds of failure between a store and its server or disk."""

    #: No answer: the server is stopped, the folder is missing.
    DOWN = "down"
    #: The connection drops before the server gets the request.
    REQUEST_LOST = "request lost"
    #: The server executes the request and the connection drops before the answer.
    REPLY_LOST = "reply lost"
    #: The connection stays open and no answer arrives.
    SILENT = "silent"


class ContractBase(abc.ABC):
    """The hooks of `StoreContract`, and helpers for its tests."""

    #: Whether two processes that open one place see the same records. Then the process tests run.
    shared_between_processes: ClassVar[bool] = False
    #: Whether records expire by the clock of the server. Then the tests use the system's clock and wait
    #: four times, for a second each.
    native_ttl: ClassVar[bool] = False
    #: How many milliseconds `Record.expires_at` may be off, for a server that counts in seconds or in time to live.
    expiry_tolerance: ClassVar[int] = 0
    #: The data size in bytes that the store must accept.
    max_bytes: ClassVar[int] = 300_000
    #: The data size in bytes that the store must refuse; None for a store without a limit.
    too_large: ClassVar[int | None] = None
    #: The seconds within which the store reports a silent server, and works again after an outage.
    patience: ClassVar[float] = 5.0
    #: The number of repetitions of each race.
    rounds: ClassVar[int] = 15

    place: Path
    clock: Clock
    #: Set by a test that loses a reply: `disturb` calls it after the server executed the request, before the store sees
    #: the connection drop.
    meanwhile: Callable[[], object] | None = None

    @abc.abstractmethod
    def open_store(self, place: Path, clock: Clock, /) -> Store:
        """Return a client over the records of *place*, a folder private to one test.

        Called more than once, it returns clients over the same records. It may use nothing but its arguments, since
        other processes call it as well: a fixture can leave the address of a server in a file in *place*. A server has
        one set of records for all clients, so derive a prefix, a table or a database from *place*.
        """

    def disturb(self, fault: Fault, store: Store, place: Path, /) -> AbstractContextManager[object] | None:
        """Return a context manager inside which *store* suffers *fault*, or None if the class cannot simulate it.

        Afterwards the store works again by itself, and the records are unchanged.
        """
        del fault, store, place
        return None

    @pytest.fixture(autouse=True)
    def _on_a_place_of_its_own(self, tmp_path: Path) -> Iterator[None]:
        with self.running(tmp_path):
            yield

    @contextmanager
    def running(self, place: Path) -> Iterator[None]:
        """Prepare one test on *place*, and close the clients that it opened."""
        self.place = place
        # Ahead of the system's clock, so that a server's own expiry never comes first.
        self.clock = system_clock if self.native_ttl else FakeClock(system_clock() + 86_400_000)
        self._opened: list[Store] = []
        self._second: Store | None = None
        self.__dict__.pop("store", None)
        try:
            yield
        finally:
            for store in self._opened:
                if isinstance(store, Closes):
                    store.close()

    @cached_property
    def store(self) -> Store:
        """The client that a test uses when one is enough."""
        return self.client()

    def client(self) -> Store:
        """Open another client over the same records."""
        store = self.open_store(self.place, self.clock)
        self._opened.append(store)
        return store

    def clients(self, count: int) -> list[Any]:
        """Return a client for each of *count* threads: two alternating ones, so that some threads share a client.

        Each has the capabilities of the store.
        """
        if self._second is None:
            self._second = self.client()
        return [(self.store, self._second)[number % 2] for number in range(count)]

    def needs(self, capability: Any) -> Any:
        """Return the store as one with *capability*, or skip the test and name the missing capability."""
        if not isinstance(self.store, capability):
            pytest.skip(f"the store has no {capability.__name__}")
        return self.store

    def needs_processes(self) -> None:
        """Skip the test if processes do not share records."""
        if not self.shared_between_processes:
            pytest.skip("the records are not shared between processes")

    def needs_fake_clock(self) -> FakeClock:
        """Return the test clock, or skip the test if the server's clock counts."""
        if not isinstance(self.clock, FakeClock):
            pytest.skip("records expire by the server's clock, which a test cannot set")
        return self.clock

    def needs_to_purge(self) -> tuple[Purges, FakeClock]:
        """Return the store and the test clock, or skip the test if the store does not `Purges`.

        The clock is behind any server's clock, which must agree to what is removed, but by less than a server waits
        before it removes records by itself.
        """
        store, clock = self.needs(Purges), self.needs_fake_clock()
        clock.advance_ms(system_clock() - 200_000 - clock())
        return store, clock

    @contextmanager
    def disturbed(self, fault: Fault) -> Iterator[None]:
        """Let the store suffer *fault* inside the block, or skip the test if the class cannot simulate it."""
        disturbance = self.disturb(fault, self.store, self.place)
        if disturbance is None:
            pytest.skip(f"{type(self).__name__}.disturb() does not arrange the fault {fault.value!r}")
        with disturbance:
            yield

    def later(self, seconds: float = 60) -> int:
        """Return the time *seconds* from now, in milliseconds since the epoch."""
        return self.clock() + round(seconds * 1000)

    def wait_until(self, moment: int) -> None:
        """Let time pass until *moment*, in milliseconds since the epoch; on a server's clock a little longer."""
        if isinstance(self.clock, FakeClock):
            self.clock.advance_ms(max(0, moment - self.clock()))
            return
        while self.clock() < moment + 50:
            time.sleep(0.05)

    def make(self, data: bytes = b"data", *, owner: str | None = None, seconds: float = 60) -> tuple[str, Version]:
        """Create a record under a new key. Return the key and the version."""
        key = new_key()
        return key, self.create(key, data, owner=owner, seconds=seconds)

    def create(self, key: str, data: bytes = b"data", *, owner: str | None = None, seconds: float = 60) -> Version:
        """Create a record under *key*, which must be free, and return its version."""
        version = self.store.create(key, data, expires_at=self.later(seconds), owner=owner)
        assert version is not None, "create returned None though no live record is there"
        return version

    def replace(
        self, key: str, expect: Version, data: bytes = b"data", *, owner: str | None = None, seconds: float = 60
    ) -> Version:
        """Replace the record under *key*, whose version is *expect*, and return the new version."""
        answer = self.store.replace(key, data, expect=expect, expires_at=self.later(seconds), owner=owner)
        assert is_version(answer), f"replace answered {answer!r} though the version is the current one"
        return answer

    def rotation(self, old: str, new: str, expect: Version, owner: str | None = None) -> Rotation:
        """Return a rotation from *old* to *new*, whose data are ``b"new"``."""
        return Rotation(old, new, b"new", TOMBSTONE, expect, self.later(), self.later(), owner)

    def loaded(self, key: str, store: Store | None = None) -> Record:
        """Return the record under *key*, which must be live."""
        record = (store or self.store).load(key)
        assert record is not None, "load returned None though the record is live"
        return record

    def owned(self, owner: str, store: Store | None = None) -> set[str]:
        """Return the keys of the owner's records in the index, without the others that it may list."""
        return {key for key, record in self.walk_of(owner, store=store).items() if record.owner == owner}

    def walk_of(
        self, owner: str, *, limit: int = 100, between: Callable[[], object] | None = None, store: Store | None = None
    ) -> dict[str, Record]:
        """Walk the index of *owner* to its end, call *between* after each page, and return every record found."""
        indexes: Indexes = store or self.needs(Indexes)  # type: ignore[assignment]  # a client like the first
        return _every_page(lambda after: indexes.find(owner, after, limit=limit), between)

    def walk(self, *, limit: int, between: Callable[[], object] | None = None) -> dict[str, Record]:
        """Scan from end to end, call *between* after each page, and return every record found."""
        store: Iterates = self.needs(Iterates)
        return _every_page(lambda after: store.scan(after, limit=limit), between)

    def assert_no_record(self, key: str, version: Version, store: Store | None = None) -> None:
        """Assert that *key* has no record, and that a save of *version*, once of one, makes none."""
        store = store or self.store
        assert store.load(key) is None
        assert store.replace(key, b"back", expect=version, expires_at=self.later(), owner="ada") == Gone()
        assert store.touch(key, expires_at=self.later()) is False
        assert store.load(key) is None

    def assert_expiry(self, record: Record, expires_at: int) -> None:
        """Assert when *record* expires, in milliseconds since the epoch, within the store's precision."""
        off = abs(record.expires_at - expires_at)
        assert off <= self.expiry_tolerance, f"expires_at is off by {off} ms"

    def assert_same(self, record: Record, before: Record) -> None:
        """Assert that *record* equals *before*."""
        assert (record.data, record.version, record.owner) == (before.data, before.version, before.owner)
        self.assert_expiry(record, before.expires_at)


def _every_page(read: Callable[[str | None], Page], between: Callable[[], object] | None) -> dict[str, Record]:
    seen: dict[str, Record] = {}
    after = None
    for _ in range(10_000):
        page = read(after)
        seen.update(page.items)
        if page.after is None:
            return seen
        after = page.after
        if between:
            between()
    raise AssertionError("the walk does not end")


def new_key() -> str:
    """Return a key that was never used: 64 lower-case hex digits."""
    return secrets.token_hex(32)
