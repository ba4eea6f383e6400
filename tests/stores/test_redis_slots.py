"""A walk over all records of a Redis Cluster while slots move between its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from support.keyspace import prefix_of
from support.servers import start_cluster

from holdfast.errors import StoreUnavailable
from holdfast.stores.redis import RedisClusterStore
from holdfast.testing import FakeClock

pytestmark = pytest.mark.redis

RECORDS = 300


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """The ports of the primaries of a Cluster, which these tests alone use."""
    group = start_cluster()
    yield [int(node.address[1]) for node in group.nodes[:3]]
    group.stop()


def move_slots(ports: list[int], source: int, target: int, number: int) -> None:
    """Move the first *number* slots of a node to another, with their records, as `redis-cli --cluster reshard` does."""
    nodes: Any = [redis.Redis(port=port) for port in ports]
    ids = [node.execute_command("CLUSTER MYID").decode() for node in nodes]
    [mine] = [each for each in nodes[source].cluster("nodes").values() if "myself" in each["flags"]]
    slots = [slot for span in mine["slots"] for slot in range(int(span[0]), int(span[-1]) + 1)][:number]
    for slot in slots:
        nodes[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
        nodes[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
        while keys := nodes[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            nodes[source].migrate("127.0.0.1", ports[target], keys, 0, 5000)
        for node in (target, source, *range(len(nodes))):
            nodes[node].execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])
    for node in nodes:
        node.close()


def walked(store: RedisClusterStore, between: Any) -> set[str]:
    """Return the keys that a walk over all records finds; *between* is called after each page."""
    found, page = set[str](), store.scan(limit=40)
    while True:
        found |= {key for key, _ in page.items}
        if page.after is None:
            return found
        between()
        page = store.scan(page.after, limit=40)


def test_a_walk_while_slots_move_misses_no_record(ports: list[int], tmp_path: Path) -> None:
    """Records that move to a node that was walked already are found: the walk goes on until no slot has moved."""
    clock, moves = FakeClock(), iter([(2, 0), (1, 0)])
    with closing(redis.RedisCluster("127.0.0.1", ports[0])) as client:
        store = RedisClusterStore(client, prefix=prefix_of(tmp_path), clock=clock)
        keys = {f"{number:064x}" for number in range(RECORDS)}
        for key in keys:
            store.create(key, b"data", expires_at=clock() + 3_600_000)
        pages = [0]

        def move_now_and_then() -> None:
            pages[0] += 1
            if pages[0] in {4, 7}:
                move_slots(ports, *next(moves), 700)

        assert walked(store, move_now_and_then) == keys
        assert next(moves, None) is None


def test_a_walk_says_that_it_may_miss_records(ports: list[int], tmp_path: Path) -> None:
    """Where slots move all the time it ends with an error."""
    with closing(redis.RedisCluster("127.0.0.1", ports[0])) as client:
        store = RedisClusterStore(client, prefix=prefix_of(tmp_path))
        nodes = iter(range(1000))

        def move_always() -> None:
            turn = next(nodes)
            move_slots(ports, 0, 1 + turn % 2, 1)

        with pytest.raises(StoreUnavailable, match="the slots of the Cluster are moving"):
            walked(store, move_always)
