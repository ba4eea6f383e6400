"""The memcached store: the contract on a real server, by every kind of client, and what it alone promises."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pymemcache
import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.memcached import DAY, GIVEN, Tidy, counted, data_of, on_client
from support.servers import Server, ask, start_memcached

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, RecordTooLarge, StoreUnavailable
from holdfast.flask import Session, session
from holdfast.records.record import Conflict, Gone
from holdfast.stores.contract import Indexes, Iterates, Purges, Rotates, Store
from holdfast.stores.memcached import MemcachedStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, Fault, Link, StoreContract

pytestmark = pytest.mark.memcached

#: How many seconds memcached may be off: its clock ticks once a second, by a timer of its own.
TICKS = 3


class OnMemcached(StoreContract):
    """The contract, behind a link that can be disturbed."""

    shared_between_processes = True
    too_large = 1024 * 1024

    @pytest.fixture(autouse=True)
    def _linked(self, memcached_server: Server, tmp_path: Path, _on_a_place_of_its_own: None) -> Iterator[None]:
        self.link = Link(memcached_server.address)
        (tmp_path / "port").write_text(str(self.link.port))
        yield
        Tidy.close()
        self.link.close()

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object]:
        """Disturb the link."""
        return self.link.disturb(fault, meanwhile=self.meanwhile)


class TestMemcachedStore(OnMemcached):
    """The contract, on connections of our own."""

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        port = (place / "port").read_text()
        return open_store(f"memcached://127.0.0.1:{port}?timeout=2.0", root=place, clock=clock)

    @pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REPLY_LOST])
    def test_a_read_is_repeated_and_a_write_is_not(self, fault: Fault) -> None:
        """A connection that breaks under a read costs the caller nothing; under the one step of a save it raises."""
        key, version = self.make(b"old", seconds=60)
        self.client().load(key)
        with self.disturbed(fault):
            assert self.loaded(key).data == b"old"
        with self.disturbed(fault), pytest.raises(StoreUnavailable):
            self.store.replace(key, b"new", expect=version, expires_at=self.later(60))
        assert self.loaded(key).data == (b"new" if fault is Fault.REPLY_LOST else b"old")


class TestPythonMemcached(OnMemcached):
    """The contract, on python-memcached's client as Flask-Session's users make it."""

    shared_between_processes = False
    rounds = 5

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a client that goes through the link."""
        port = (place / "port").read_text()
        return MemcachedStore(Tidy([f"127.0.0.1:{port}"], socket_timeout=2.0), clock=clock)


class TestPylibmc(OnMemcached):
    """The contract, on pylibmc's client."""

    shared_between_processes = False
    rounds = 5

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a client that goes through the link."""
        pylibmc: Any = pytest.importorskip("pylibmc")
        port = (place / "port").read_text()
        waits = dict.fromkeys(("receive_timeout", "send_timeout"), 2_000_000)
        waits |= dict.fromkeys(("connect_timeout", "_poll_timeout"), 2_000)
        return MemcachedStore(pylibmc.Client([f"127.0.0.1:{port}"], behaviors=waits), clock=clock)


class TestPymemcache(OnMemcached):
    """The contract, on pymemcache's simplest client, which two threads must not use at once."""

    shared_between_processes = False
    rounds = 5

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a client that goes through the link."""
        port = int((place / "port").read_text())
        return MemcachedStore(pymemcache.Client(("127.0.0.1", port), connect_timeout=2.0, timeout=2.0), clock=clock)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the test, a day ahead of the server's."""
    return FakeClock(system_clock() + DAY)


@pytest.fixture
def store(memcached_server: Server, clock: FakeClock, tmp_path: Path) -> Iterator[MemcachedStore]:
    """A store on connections of our own."""
    opened = open_store(memcached_server.url, root=tmp_path, clock=clock)
    assert isinstance(opened, MemcachedStore)
    with closing(opened):
        yield opened


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return secrets.token_hex(32)


@pytest.fixture(params=["own", *GIVEN])
def each(
    request: pytest.FixtureRequest, memcached_server: Server, clock: FakeClock, tmp_path: Path
) -> Iterator[MemcachedStore]:
    """A store on each kind of client in turn."""
    with on_client(request.param, [memcached_server], clock) as store:
        yield store


def time_to_live(server: Server, key: str) -> int:
    """Return how many seconds the server will keep what is under *key*; -1 is for ever."""
    return int(ask(server.address, f"mg {key} t\r\n".encode()).split(b"t")[1])


def sent(server: Server, request: bytes) -> None:
    """Send a request past the store, which must be carried out."""
    assert ask(server.address, request) in {b"STORED\r\n", b"DELETED\r\n"}


def test_a_request_costs_what_it_must(each: MemcachedStore, memcached_server: Server, clock: FakeClock) -> None:
    """The server counts no command for an untouched session, one for a read, two for a write, one for a first write.

    A request that reads and whose idle timeout is due costs two.
    """
    app = Flask("shop", static_folder=None)
    app.config.update(SESSION_STORE=each)
    Session(app, clock=clock)
    action: Callable[[], object] = dict

    @app.get("/")
    def view() -> str:
        return str(action())

    def cost(browser: FlaskClient, do: Callable[[], object]) -> dict[str, int]:
        nonlocal action
        action = do
        with counted(memcached_server) as counts:
            assert browser.get("/").status_code == 200
        return dict(counts)

    browser = app.test_client()
    assert cost(browser, lambda: session.update(cart=[1])) == {"cmd_set": 1}
    assert cost(browser, dict) == {}
    assert cost(browser, lambda: session["cart"]) == {"cmd_get": 1}
    assert cost(browser, lambda: session["cart"].append(2)) == {"cmd_get": 1, "cmd_set": 1}
    clock.advance(4 * DAY / 1000)
    assert cost(browser, lambda: session["cart"]) == {"cmd_get": 1, "cmd_set": 1}
    assert browser.get("/").text == "[1, 2]"


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [(-DAY, 300), (0, 300), (1, 301), (60_000, 360), (29 * DAY, 29 * 86_400 + 300), (400 * DAY, 400 * 86_400 + 300)],
)
def test_the_server_is_told_when_to_forget(
    store: MemcachedStore, memcached_server: Server, key: str, milliseconds: int, seconds: int
) -> None:
    """Records leave the server five minutes after they expired, also after thirty days, and none stays for ever."""
    store.create(key, b"data", expires_at=store._clock() + milliseconds)
    assert abs(time_to_live(memcached_server, key) - seconds) <= TICKS


def test_a_touch_and_a_save_tell_the_server_too(
    store: MemcachedStore, memcached_server: Server, clock: FakeClock, key: str
) -> None:
    """The server keeps a touched record longer, and a record that was saved with an earlier end not as long."""
    version = store.create(key, b"data", expires_at=clock() + 60_000)
    assert version is not None
    store.touch(key, expires_at=clock() + 40 * DAY)
    assert time_to_live(memcached_server, key) > 39 * 86_400
    store.replace(key, b"data", expect=version, expires_at=clock() + 60_000)
    assert time_to_live(memcached_server, key) <= 360 + TICKS


def test_an_expiry_beyond_what_memcached_can_say_is_the_last_it_can(
    store: MemcachedStore, memcached_server: Server, key: str
) -> None:
    """A record that lives until the year 287396 is kept until 2038, not refused."""
    store.create(key, b"data", expires_at=2**53)
    assert time_to_live(memcached_server, key) > 300 * 86_400
    assert data_of(store, key) == b"data"


@pytest.mark.parametrize("kind", ["own", "python-memcached", "pylibmc", "Client"])
def test_a_smaller_limit_of_the_server_is_found_out(kind: str, clock: FakeClock, key: str) -> None:
    """Data that the server refuses for its size is RecordTooLarge at once, and the old record is unchanged."""
    server = start_memcached("-I", "512k")
    try:
        with on_client(kind, [server], clock) as store, counted(server) as counts:
            with pytest.raises(RecordTooLarge):
                store.create(key, bytes(600_000), expires_at=clock() + DAY)
            assert store.load(key) is None
            version = store.create(key, b"data", expires_at=clock() + DAY)
            assert version is not None
            with pytest.raises(RecordTooLarge, match="600000 bytes"):
                store.replace(key, bytes(600_000), expect=version, expires_at=clock() + DAY)
            assert data_of(store, key) == b"data"
            assert not isinstance(
                store.replace(key, b"more", expect=version, expires_at=clock() + DAY), Conflict | Gone
            )
        assert counts.total() < 12
    finally:
        server.stop()


def test_the_limit_can_be_raised_with_the_server_s(clock: FakeClock, key: str) -> None:
    """With ``-I 4m`` and ``max_bytes`` a record may have more than a mebibyte."""
    server = start_memcached("-I", "4m")
    try:
        with closing(MemcachedStore.from_url(server.url, clock=clock, max_bytes=3_000_000)) as store:
            assert store.create(key, bytes(3_000_000), expires_at=clock() + DAY) is not None
            assert data_of(store, key) == bytes(3_000_000)
            with pytest.raises(RecordTooLarge):
                store.create(key, bytes(3_000_001), expires_at=clock() + DAY)
    finally:
        server.stop()


@pytest.mark.parametrize("value", [b"", b"\1", b"(dp0\n.", b"\x80\x04}.", b'{"k1": "v1"}' * 9])
def test_what_is_no_record_counts_as_a_damaged_one(
    store: MemcachedStore, memcached_server: Server, clock: FakeClock, key: str, value: bytes
) -> None:
    """Bytes that Holdfast did not write load as a record of no data, which can be replaced and deleted."""
    sent(memcached_server, b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value))
    record = store.load(key)
    assert record is not None
    assert (record.data, record.owner) == (b"", None)
    assert store.create(key, b"data", expires_at=clock() + DAY) is None
    assert isinstance(store.replace(key, b"data", expect=7, expires_at=clock() + DAY), Conflict)
    assert store.touch(key, expires_at=clock() + DAY) is True
    assert isinstance(store.replace(key, b"data", expect=record.version, expires_at=clock() + DAY), int)
    assert data_of(store, key) == b"data"
    sent(memcached_server, b"set %s 0 0 1\r\nx\r\n" % key.encode())
    assert store.delete(key) is True


def test_the_value_of_another_key_is_an_outage(store: MemcachedStore, memcached_server: Server, key: str) -> None:
    """A client that answers with another key's record, as when two threads share a connection, opens no session."""
    other = secrets.token_hex(32)
    store.create(key, b"data", expires_at=system_clock() + 3 * DAY)
    value = ask(memcached_server.address, f"mg {key} v\r\n".encode()).partition(b"\r\n")[2].removesuffix(b"\r\n")
    sent(memcached_server, b"set %s 0 0 %d\r\n%s\r\n" % (other.encode(), len(value), value))
    with pytest.raises(StoreUnavailable, match="another key"):
        store.load(other)


def test_a_save_goes_on_after_a_touch_by_another(store: MemcachedStore, clock: FakeClock, key: str) -> None:
    """A touch between a load and its save is neither a conflict nor undone in what it did to data."""
    version = store.create(key, b"old", expires_at=clock() + DAY)
    record = store.load(key)
    assert record is not None
    with ThreadPoolExecutor(1) as other:
        assert other.submit(store.touch, key, expires_at=clock() + 2 * DAY).result() is True
    assert record.version == version
    assert isinstance(store.replace(key, b"new", expect=record.version, expires_at=clock() + 2 * DAY), int)


def test_what_a_thread_read_before_is_only_a_hint(store: MemcachedStore, clock: FakeClock, key: str) -> None:
    """A save, a touch and a deletion long after the load answer by what is there now."""
    with ThreadPoolExecutor(1) as other:

        def elsewhere(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            return other.submit(method, *arguments, **named).result()

        version = store.create(key, b"old", expires_at=clock() + DAY)
        assert version is not None
        store.load(key)
        newer = elsewhere(store.replace, key, b"new", expect=version, expires_at=clock() + DAY // 2)
        assert store.touch(key, expires_at=clock() + 3 * DAY // 4) is True
        record = elsewhere(store.load, key)
        assert (record.data, record.version, record.expires_at) == (b"new", newer, clock() + 3 * DAY // 4)
        answer = store.replace(key, b"late", expect=version, expires_at=clock() + DAY)
        assert isinstance(answer, Conflict)
        assert answer.current is not None
        assert answer.current.data == b"new"
        store.load(key)
        elsewhere(store.delete, key)
        assert store.touch(key, expires_at=clock() + DAY // 4) is False
        assert store.replace(key, b"late", expect=newer, expires_at=clock() + DAY) == Gone()
        assert store.delete(key) is False


def test_there_is_no_index_to_be_wrong(store: MemcachedStore) -> None:
    """The store lacks the capabilities that memcached lacks; ending all of a user's sessions raises an error."""
    assert not isinstance(store, Indexes | Iterates | Purges | Rotates)
    app = Flask("shop")
    app.config.update(SESSION_STORE=store)
    sessions = Session(app)
    with pytest.raises(ConfigurationError, match="MemcachedStore keeps no index"):
        sessions.revoke_all("42")
