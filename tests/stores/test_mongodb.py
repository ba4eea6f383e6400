"""The MongoDB store: the contract on a real server, and what it alone promises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from support.servers import Server

from holdfast.clock import Clock
from holdfast.store import Store
from holdfast.stores.mongodb import MongoDBStore
from holdfast.testing import Fault, Link, StoreContract
from holdfast.urls import open_store

pytestmark = pytest.mark.mongodb


def collection_of(place: Path) -> str:
    """Return the name of a collection that no other test has."""
    return f"test-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


class TestMongoDBStore(StoreContract):
    """The contract, on one server, behind a link that can be disturbed."""

    shared_between_processes = True
    max_bytes = 16 * 1024 * 1024 - 1024
    too_large = 16 * 1024 * 1024 - 1023

    @pytest.fixture(autouse=True)
    def _on_a_place_of_its_own(self, mongodb_server: Server, tmp_path: Path) -> Iterator[None]:
        with closing(Link(mongodb_server.address)) as self.link, self.running(tmp_path):
            (tmp_path / "port").write_text(str(self.link.port))
            yield

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        port = (place / "port").read_text()
        url = f"mongodb://127.0.0.1:{port}/holdfast.{collection_of(place)}?heartbeatFrequencyMS=500"
        return open_store(url, root=place, clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object]:
        """Disturb the link, and do not wait long."""
        assert isinstance(store, MongoDBStore)
        store._timeout = 0.3
        return self.link.disturb(fault)
