"""The Redis Cluster store: the contract on six nodes, and what becomes of it when a primary dies."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import redis
import valkey.cluster
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.capabilities import keys_of
from support.keyspace import Wrapped, counted, prefix_of, scanned
from support.servers import Group
from support.web import Web

from holdfast.clock import Clock
from holdfast.errors import StoreUnavailable
from holdfast.flask import session
from holdfast.records.record import Conflict, Gone
from holdfast.stores.contract import Store
from holdfast.stores.redis import RedisClusterStore, RedisStore, scripts
from holdfast.stores.redis.scripts import Script
from holdfast.testing import FakeClock, Fault, Link, StoreContract
from holdfast.testing.base import new_key

pytestmark = pytest.mark.redis

VALKEY: Any = valkey.cluster.ValkeyCluster
KEY, OTHER = "ab" * 32, "cd" * 32
HOUR = 3_600_000


class TestRedisClusterStore(StoreContract):
    """The contract, on a Cluster, each node of it behind a link that can be disturbed."""

    shared_between_processes = True
    patience = 10.0  # the client asks a silent server again
    too_large = 512 * 1024 * 1024

    @pytest.fixture(autouse=True)
    def _linked(self, redis_cluster_server: Group, tmp_path: Path, _on_a_place_of_its_own: None) -> Iterator[None]:
        with ExitStack() as stack:
            ports = [node.address[1] for node in redis_cluster_server.nodes]
            self.links = {port: stack.enter_context(closing(Link(("127.0.0.1", port)))) for port in ports}
            (tmp_path / "ports").write_text(json.dumps([(port, link.port) for port, link in self.links.items()]))
            yield

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes to every node through its link."""
        links = dict(json.loads((place / "ports").read_text()))
        client = redis.RedisCluster(
            host="127.0.0.1",
            port=next(iter(links.values())),
            address_remap=lambda address: (address[0], links.get(address[1], address[1])),
            require_full_coverage=False,
            socket_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )
        return RedisClusterStore(client, prefix=prefix_of(place), clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object]:
        """Disturb the links to all nodes."""
        disturbances = ExitStack()
        for link in self.links.values():
            disturbances.enter_context(link.disturb(fault, meanwhile=self.meanwhile))
        return disturbances

    def test_the_loss_of_one_node_leaves_the_others_at_work(self, redis_cluster_server: Group) -> None:
        """While one primary is out of reach, the records of the others are kept, also where no script is known yet."""
        store: Any = self.store
        lost = self.links[redis_cluster_server.nodes[0].address[1]]
        keys = [new_key() for _ in range(12)]
        there = {key for key in keys if store._client.get_node_from_key(store._name(key)).port == lost.port}
        store._client.script_flush()
        with lost.disturb(Fault.DOWN):
            for key in keys:
                if key in there:
                    with pytest.raises(StoreUnavailable):
                        store.create(key, b"data", expires_at=self.later())
                else:
                    self.create(key)
        assert {key for key in keys if store.load(key)} == set(keys) - there


@pytest.fixture
def client(redis_cluster_server: Group) -> Iterator[Any]:
    """Return a client of the Cluster."""
    host, port = redis_cluster_server.nodes[0].address
    with closing(redis.RedisCluster(host, port)) as client:
        yield client


@pytest.fixture
def clock() -> FakeClock:
    """Return the clock of the store."""
    return FakeClock()


@pytest.fixture
def store(client: Any, tmp_path: Path, clock: FakeClock) -> RedisClusterStore:
    """Return a store on the Cluster."""
    return RedisClusterStore(client, prefix=prefix_of(tmp_path), clock=clock)


def test_a_request_costs_what_it_must(store: RedisClusterStore, client: Any, clock: FakeClock) -> None:
    """Untouched 0, read 1, write 2, first write 1: the same as on one server."""
    web = Web(SESSION_STORE=store)
    web.put(cart=[1])
    nodes = client.get_primaries()

    def cost(action: Any, **request: Any) -> dict[str, int]:
        with ExitStack() as stack:
            counts = [stack.enter_context(counted(client.get_redis_connection(node))) for node in nodes]
            web.do(action, **request)
        return dict(sum(map(Counter, counts), Counter()))

    def first() -> None:
        session["cart"] = [1]

    web.put(cart=[1, 2])  # the server knows the script, and the store whether it needs it
    inside = {"getrange": 1, "set": 1}
    assert cost(lambda: None) == {}
    assert cost(lambda: session.get("cart")) == {"get": 1}
    assert cost(lambda: session["cart"].append(2)) == {"get": 1, "evalsha": 1, **inside}
    assert cost(first, browser=web.app.test_client()) == {"set": 1}


def test_no_record_outlives_its_index_entry(store: RedisClusterStore, client: Any, clock: FakeClock) -> None:
    """After any sequence of calls, each live record has an entry in its owner's index that lasts longer."""
    chance = random.Random(5)
    keys = [f"{number:064x}" for number in range(5)]

    def step(key: str, owner: str | None, expires_at: int) -> None:
        record = store.load(key)
        number = chance.randrange(6)
        if record is None:
            store.create(key, b"data", expires_at=expires_at, owner=owner)
        elif number < 2:
            store.touch(key, expires_at=expires_at)
        elif number < 5:
            store.replace(key, b"data", expect=record.version, expires_at=expires_at, owner=owner)
        else:
            store.delete(key)

    for _ in range(400):
        lifetime = chance.choice([1, 1000, HOUR, 9 * HOUR])
        step(chance.choice(keys), chance.choice(["ada", "ada", "bob", None]), clock() + lifetime)
        clock.advance_ms(chance.choice([0, 0, 0, 1, HOUR // 2]))
        for key in keys:
            record = store.load(key)
            if record is not None and record.owner is not None:
                index = store._index(scripts.owner_field(record.owner))
                assert client.zscore(index, bytes.fromhex(key)) >= record.expires_at
                assert client.pttl(index) > record.expires_at - clock()


def test_a_crash_between_two_slots_leaves_the_index_ahead(
    store: RedisClusterStore, client: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is written first: a crash before the record is written leaves an extra entry, never a missing one."""
    run = store._run

    def dying(script: Script, names: list[bytes], arguments: list[Any]) -> Any:
        if script != scripts.ENTER:
            raise StoreUnavailable("the process died")
        return run(script, names, arguments)

    version = store.create(KEY, b"data", expires_at=clock() + HOUR)
    assert version is not None
    monkeypatch.setattr(store, "_run", dying)
    with pytest.raises(StoreUnavailable):
        store.create(OTHER, b"data", expires_at=clock() + HOUR, owner="ada")
    monkeypatch.undo()
    index = store._index(scripts.owner_field("ada"))
    assert client.zrange(index, 0, -1) == [bytes.fromhex(OTHER)]
    assert (keys_of(store, "ada"), store.load(OTHER)) == ([], None)
    assert client.zrange(index, 0, -1) == [bytes.fromhex(OTHER)], "its record may be about to be written"


def test_a_scan_goes_on_when_a_primary_was_replaced(store: RedisClusterStore, clock: FakeClock) -> None:
    """Where the node that a scan was at is gone, or one is new, the scan covers what is there now, and ends."""
    keys = {f"{number:064x}" for number in range(30)}
    for key in keys:
        store.create(key, b"data", expires_at=clock() + HOUR)
    names = sorted(store._nodes())
    turn = f"1 {store._layout()}"
    for after in (
        f"gone:1 17 {turn} {names[0]}",
        f"gone:1 17 {turn} gone:2 {names[1]}",
        f"- 0 {turn} {' '.join(names)}",
    ):
        page = store.scan(after, limit=5)
        seen = {key for key, _ in page.items}
        while page.after is not None:
            page = store.scan(page.after, limit=5)
            seen |= {key for key, _ in page.items}
        unseen = {key for key in keys if store._call("get_node_from_key", store._name(key)).name in after}
        assert seen == keys - unseen


@pytest.mark.parametrize("kind", ["redis", "valkey", "wrapped"])
def test_any_client_of_a_cluster_will_do(
    redis_cluster_server: Group, client: Any, tmp_path: Path, clock: FakeClock, kind: str
) -> None:
    """Clients of redis-py and valkey-py and wrapped ones are known as a Cluster's by their methods, and work alike."""
    host, port = redis_cluster_server.nodes[0].address
    clients = {"redis": client, "wrapped": Wrapped(client)}
    with closing(clients.get(kind) or VALKEY(host=host, port=port)) as given:
        store = RedisStore.from_client(given, clock=clock)
        assert type(store) is RedisClusterStore
        store = RedisClusterStore(given, prefix=prefix_of(tmp_path), wait_replicas=1, clock=clock)
        keys = [f"{number:064x}" for number in range(9)]
        for key in keys:
            version = store.create(key, b"data", expires_at=clock() + HOUR, owner="ada")
            assert version is not None
            assert store.touch(key, expires_at=clock() + 9 * HOUR) is True
            assert not isinstance(
                store.replace(key, b"new", expect=version, expires_at=clock() + HOUR, owner="bob"), Conflict | Gone
            )
            assert store.confirm(key) is True
        assert sorted(keys_of(store, "bob")) == keys
        assert keys_of(store, "ada") == []
        seen = scanned(store, limit=2)
        assert sorted(seen) == keys
        assert {record.data for record in seen.values()} == {b"new"}
        store.ping()
