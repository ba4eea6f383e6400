"""The Redis store: the contract on a real server, and what it alone promises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support.servers import Server

from holdfast.clock import Clock
from holdfast.store import Store
from holdfast.stores.redis import RedisClusterStore
from holdfast.testing import Fault, Link, StoreContract
from holdfast.urls import open_store

pytestmark = pytest.mark.redis


def prefix_of(place: Path) -> str:
    """Return a prefix that no other test has."""
    return f"test-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}:"


class TestRedisStore(StoreContract):
    """The contract, on one server, behind a link that can be disturbed."""

    shared_between_processes = True
    exact_index = False
    too_large = 512 * 1024 * 1024

    @pytest.fixture(autouse=True)
    def _linked(self, redis_server: Server, tmp_path: Path, _on_a_place_of_its_own: None) -> Iterator[None]:
        self.link = Link(redis_server.address)
        (tmp_path / "port").write_text(str(self.link.port))
        yield
        self.link.close()

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        port = (place / "port").read_text()
        url = f"redis://127.0.0.1:{port}/0?prefix={prefix_of(place)}&timeout=0.5"
        return open_store(url, root=place, clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object]:
        """Disturb the link."""
        return self.link.disturb(fault)
