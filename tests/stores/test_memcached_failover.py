"""Sessions while memcached servers are lost. ``pytest -s`` shows the figures."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.memcached import DAY, LEAKY, Tidy, data_of, on_client
from support.servers import Server, ask, start_memcached

from holdfast.clock import system_clock
from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict, Gone
from holdfast.stores.memcached import MemcachedStore

pytestmark = pytest.mark.memcached


@pytest.fixture(scope="module")
def three() -> Iterator[list[Server]]:
    """Three servers that one test at a time may stop."""
    servers = [start_memcached() for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


def test_several_servers_share_the_records(three: list[Server]) -> None:
    """Each record is on one server, each server has some, and the order in the URL does not matter."""
    keys = [secrets.token_hex(32) for _ in range(60)]
    with on_client("own", three) as store, on_client("own", three[::-1]) as same:
        for key in keys:
            store.create(key, key.encode(), expires_at=system_clock() + DAY)
        assert [data_of(same, key) for key in keys] == [key.encode() for key in keys]
        shares = [
            sum(ask(server.address, b"mg %s\r\n" % key.encode()) != b"EN\r\n" for key in keys) for server in three
        ]
        assert sum(shares) == 60
        assert min(shares) >= 5
        with on_client("own", three[:2]) as fewer:
            assert sum(data_of(fewer, key) is not None for key in keys) == shares[0] + shares[1]


@LEAKY
@pytest.mark.parametrize("kind", ["own", "python-memcached", "pylibmc", "HashClient"])
def test_no_other_server_answers_for_one_that_is_down(kind: str, three: list[Server]) -> None:
    """While a server is down, its records are unavailable, never missing, and the others are there; then all work."""
    keys = [secrets.token_hex(32) for _ in range(30)]
    with on_client(kind, three) as store:
        for key in keys:
            store.create(key, key.encode(), expires_at=system_clock() + DAY)
        store.ping()
        three[0].kill()
        try:
            found = Counter(answer_of(store, key) for key in keys * 3)
            with pytest.raises(StoreUnavailable):
                store.ping()
        finally:
            three[0].restart()
        assert found.keys() == {"right", "unavailable"}
        store.ping()
        found = Counter(answer_of(store, key) for key in keys)
        assert found.keys() == {"right", "missing"}


def answer_of(store: MemcachedStore, key: str) -> str:
    """Return what became of the record under *key*, whose data begins with its key."""
    try:
        data = data_of(store, key)
    except StoreUnavailable:
        return "unavailable"
    return "missing" if data is None else "right" if data.startswith(key.encode()) else "wrong"


@LEAKY
@pytest.mark.parametrize("kind", ["own", "python-memcached"])
def test_a_restart_under_load_ends_all_sessions_and_nothing_else(kind: str) -> None:
    """Requests get short, typed errors while the server is down; then new sessions work, and none gets another's."""
    server = start_memcached()
    found, stop, slowest = Counter[str](), threading.Event(), 0.0
    back = float("inf")

    def visit(store: MemcachedStore) -> None:
        nonlocal slowest
        key = ""
        while not stop.is_set():
            start = time.monotonic()
            try:
                key = key if key and look_after(store, key) else begin(store)
                found["served"] += 1
                found["served after"] += start > back
            except StoreUnavailable as error:
                found[type(error.__cause__).__name__] += 1
                found["late"] += start > back + 1
                time.sleep(0.01)
            slowest = max(slowest, time.monotonic() - start)

    try:
        with on_client(kind, [server]) as store, ThreadPoolExecutor(6) as pool:
            visits = [pool.submit(visit, store) for _ in range(6)]
            time.sleep(0.4)
            server.kill()
            time.sleep(0.4)
            server.restart()
            back = time.monotonic()
            time.sleep(0.8)
            stop.set()
            for done in visits:
                done.result()
            Tidy.close()
    finally:
        server.stop()
    sys.stdout.write(f"{kind}: {dict(found)}; slowest call {slowest:.3f} s\n")
    assert found["late"] == 0
    assert found["served after"] > 100
    assert slowest < 1.5


def begin(store: MemcachedStore) -> str:
    """Make a record whose data is its key, and return the key."""
    key = secrets.token_hex(32)
    assert store.create(key, key.encode(), expires_at=system_clock() + DAY) is not None
    return key


def look_after(store: MemcachedStore, key: str) -> bool:
    """Load and save a record that `begin` made; return whether it is still there."""
    record = store.load(key)
    if record is None:
        return False
    assert record.data == key.encode()
    answer = store.replace(key, record.data, expect=record.version, expires_at=system_clock() + DAY)
    assert not isinstance(answer, Conflict)
    return answer != Gone()


@pytest.mark.parametrize("kind", ["own", "python-memcached"])
def test_a_full_server_that_evicts_nothing_is_an_outage(kind: str) -> None:
    """With ``-M`` a record that finds no room is StoreUnavailable, soon, and the records that are there stay."""
    server = start_memcached("-M", "-m", "8")
    try:
        with on_client(kind, [server]) as store:
            keys: list[str] = []
            with pytest.raises(StoreUnavailable):
                fill(store, keys)
            start = time.monotonic()
            with pytest.raises(StoreUnavailable):
                fill(store, keys)
            assert time.monotonic() - start < 2
            assert keys
            assert {answer_of(store, key) for key in keys} == {"right"}
    finally:
        server.stop()


def fill(store: MemcachedStore, keys: list[str]) -> None:
    """Make records of a quarter of a mebibyte until it fails, and note the key of each that was made."""
    for _ in range(100):
        key = secrets.token_hex(32)
        assert store.create(key, key.encode() * 4000, expires_at=system_clock() + DAY) is not None
        keys.append(key)
