"""The memcached store: the contract on a real server, by every kind of client, and what it alone promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import memcache
import pymemcache
import pytest
from support.servers import Server

from holdfast.clock import Clock
from holdfast.store import Store
from holdfast.stores.memcached import MemcachedStore
from holdfast.testing import Fault, Link, StoreContract
from holdfast.urls import open_store

pytestmark = pytest.mark.memcached


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
        return self.link.disturb(fault)


class TestMemcachedStore(OnMemcached):
    """The contract, on connections of our own."""

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        port = (place / "port").read_text()
        return open_store(f"memcached://127.0.0.1:{port}?timeout=0.5", root=place, clock=clock)


class Tidy(memcache.Client):  # type: ignore[misc]  # python-memcached has no annotations
    """A client that can close what it opened in threads that have ended."""

    hosts: ClassVar[list[Any]] = []

    def set_servers(self, servers: list[str]) -> None:
        """Take note of what each thread opens."""
        super().set_servers(servers)
        self.hosts.extend(self.servers)

    @classmethod
    def close(cls) -> None:
        """Close it."""
        while cls.hosts:
            cls.hosts.pop().close_socket()


class TestPythonMemcached(OnMemcached):
    """The contract, on python-memcached's client as Flask-Session's users make it."""

    rounds = 5

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a client that goes through the link."""
        port = (place / "port").read_text()
        return MemcachedStore(Tidy([f"127.0.0.1:{port}"], socket_timeout=0.5), clock=clock)


class TestPylibmc(OnMemcached):
    """The contract, on pylibmc's client."""

    rounds = 5

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a client that goes through the link."""
        pylibmc: Any = pytest.importorskip("pylibmc")
        port = (place / "port").read_text()
        quick = {"receive_timeout": 500_000, "send_timeout": 500_000, "connect_timeout": 500, "_poll_timeout": 500}
        return MemcachedStore(pylibmc.Client([f"127.0.0.1:{port}"], behaviors=quick), clock=clock)


class TestPymemcache(OnMemcached):
    """The contract, on pymemcache's simplest client, which two threads must not use at once."""

    rounds = 5

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a client that goes through the link."""
        port = int((place / "port").read_text())
        return MemcachedStore(pymemcache.Client(("127.0.0.1", port), connect_timeout=0.5, timeout=0.5), clock=clock)
