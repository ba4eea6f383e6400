"""The Redis Cluster store: the contract on six nodes, and what becomes of it when a primary dies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.servers import Group

from holdfast.clock import Clock
from holdfast.store import Store
from holdfast.stores.redis import RedisClusterStore
from holdfast.testing import Fault, Link, StoreContract

pytestmark = pytest.mark.redis


class TestRedisClusterStore(StoreContract):
    """The contract, on a Cluster, each node of it behind a link that can be disturbed."""

    shared_between_processes = True
    exact_index = False
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
            socket_timeout=0.5,
            retry=Retry(NoBackoff(), 0),
        )
        return RedisClusterStore(client, prefix=prefix_of(place), clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object]:
        """Disturb the links to all nodes."""
        disturbances = ExitStack()
        for link in self.links.values():
            disturbances.enter_context(link.disturb(fault))
        return disturbances


def prefix_of(place: Path) -> str:
    """Return a prefix that no other test has."""
    return f"test-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}:"
