"""The Redis store behind Sentinels: the contract, and what is confirmed by a replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.keyspace import prefix_of
from support.servers import Group, NotYet, Server, ask, wait_for
from support.web import Web

from holdfast.clock import Clock
from holdfast.flask import session
from holdfast.stores.contract import Store
from holdfast.stores.redis import RedisStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, StoreContract

pytestmark = pytest.mark.redis

KEY = "ab" * 32


class TestRedisBehindSentinels(StoreContract):
    """The contract, on the primary that Sentinels name."""

    shared_between_processes = True
    too_large = 512 * 1024 * 1024
    rounds = 5

    @pytest.fixture(autouse=True)
    def _told(self, redis_sentinel_server: Group, tmp_path: Path, _on_a_place_of_its_own: None) -> None:
        (tmp_path / "url").write_text(redis_sentinel_server.url)

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that asks the Sentinels."""
        url = (place / "url").read_text()
        return open_store(f"{url}?prefix={prefix_of(place)}", root=place, clock=clock)


@pytest.fixture
def store(redis_sentinel_server: Group, tmp_path: Path) -> Iterator[RedisStore]:
    """Return a store that asks for one replica, as it does by default, and for a second."""
    url = f"{redis_sentinel_server.url}?prefix={prefix_of(tmp_path)}&wait_timeout=1"
    store = open_store(url, root=tmp_path, clock=FakeClock())
    assert isinstance(store, RedisStore)
    with closing(store):
        yield store


@contextmanager
def write_cutoff(group: Group) -> Iterator[None]:
    """Let every replica stand still inside the block."""
    replicas = [node for node in group.nodes if b"role:slave" in ask(node.address, b"INFO replication\r\n")]
    assert replicas
    for replica in replicas:
        replica.pause()
    try:
        yield
    finally:
        for replica in replicas:
            replica.resume()


def test_a_revocation_is_confirmed_by_a_replica(store: RedisStore, redis_sentinel_server: Group) -> None:
    """`revoke` says confirmed when a replica has it, and unconfirmed, not more, when none answers; both end it."""
    web = Web(SESSION_STORE=store)
    for replicas_answer, result in ((True, "confirmed"), (False, "unconfirmed")):
        web.put(cart=[1])
        handle = web.see(lambda: session.handle)
        if replicas_answer:
            assert web.sessions.revoke(handle) == result
        else:
            with write_cutoff(redis_sentinel_server):
                assert web.sessions.revoke(handle) == result
        assert web.data() == {}
        assert web.sessions.revoke(handle) == "absent"


def test_a_confirmation_is_about_all_that_was_written(store: RedisStore, redis_sentinel_server: Group) -> None:
    """Live, replaced or deleted: a key is confirmed on a connection that did not write it, and left as it is."""
    expires_at = FakeClock()() + 60_000
    version = store.create(KEY, b"data", expires_at=expires_at)
    before = store.load(KEY)
    assert store.confirm(KEY) is True
    assert store.load(KEY) == before
    with write_cutoff(redis_sentinel_server):
        assert version is not None
        store.replace(KEY, b"more", expect=version, expires_at=expires_at)
        store._client.connection_pool.disconnect()
        assert store.confirm(KEY) is False
        store.delete(KEY)
        store._client.connection_pool.disconnect()
        assert store.confirm(KEY) is False
    assert store.load(KEY) is None
    wait_for_replica(store)
    assert store.load(KEY) is None


def wait_for_replica(store: RedisStore) -> None:
    """Wait until a replica answers again."""

    def ask_again() -> None:
        if not store.confirm(KEY):
            raise NotYet("no replica answers")

    wait_for(ask_again, seconds=10)


def test_a_store_without_replicas_confirms_at_once(redis_server: Server, tmp_path: Path) -> None:
    """On one server without replicas, a revocation is confirmed, unless a replica is required."""
    for option, result in (("", "confirmed"), ("&wait_replicas=1&wait_timeout=0.05", "unconfirmed")):
        url = f"{redis_server.url}?prefix={prefix_of(tmp_path)}{option}"
        web = Web(SESSION_STORE=url)
        web.put(cart=[1])
        assert web.sessions.revoke(web.see(lambda: session.handle)) == result
