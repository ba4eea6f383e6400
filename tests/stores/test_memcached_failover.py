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
from support.memcached import DAY, LEAKY, Tidy, counted, data_of, on_client
from support.servers import NotYet, Server, ask, start_memcached, wait_for

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
    """Requests get typed errors while the server is down; then new sessions work, and none gets another's."""
    server = start_memcached()
    found, back, stop = Counter[str](), threading.Event(), threading.Event()

    def visit(store: MemcachedStore) -> None:
        key = ""
        while not stop.is_set():
            when = "after" if back.is_set() else "before"
            try:
                key = key if key and look_after(store, key) else begin(store)
                found[f"served {when}"] += 1
            except StoreUnavailable:
                found[f"refused {when}"] += 1
                time.sleep(0.01)

    def wait_until(what: str, times: int) -> None:
        def reached() -> None:
            if found[what] < times and not any(done.done() for done in visits):
                raise NotYet(f"{what}: {found[what]}")

        wait_for(reached, seconds=20)

    try:
        with on_client(kind, [server]) as store, ThreadPoolExecutor(6) as pool:
            visits = [pool.submit(visit, store) for _ in range(6)]
            try:
                wait_until("served before", 60)
                server.kill()
                wait_until("refused before", 60)
                server.restart()
                back.set()
                wait_until("served after", 100)
            finally:
                stop.set()
            for done in visits:
                done.result()
            Tidy.close()
    finally:
        server.stop()
    sys.stdout.write(f"{kind}: {dict(found)}\n")
    # Each visitor may find one connection that the restart has closed, and a server that is just marked as dead.
    assert found["refused after"] <= 12


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
    """With ``-M`` a record without room is StoreUnavailable after a bounded number of attempts, and the others stay."""
    server = start_memcached("-M", "-m", "8")
    try:
        with on_client(kind, [server]) as store:
            keys: list[str] = []
            with pytest.raises(StoreUnavailable):
                fill(store, keys)
            with counted(server) as counts, pytest.raises(StoreUnavailable):
                fill(store, keys)
            assert counts["cmd_get"] <= 100
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
