"""The shared parts of memcached's tests: clients of every kind, and the server's counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, ClassVar

import memcache
import pymemcache
import pytest
from support.servers import Server, ask

from holdfast.clock import Clock, system_clock
from holdfast.stores.memcached import MemcachedStore

DAY = 86_400_000

#: The kinds of clients that an application may have; "own" stands for none of them.
GIVEN = ["python-memcached", "pylibmc", "HashClient", "Client", "PooledClient"]

#: python-memcached leaves a socket to the garbage collector when it cannot connect.
LEAKY = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


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


def given(kind: str, *addresses: tuple[str, int]) -> Any:
    """Return a client of the *kind* for the servers at *addresses*."""
    names = [f"{host}:{port}" for host, port in addresses]
    if kind == "python-memcached":
        return Tidy(names)
    if kind == "pylibmc":
        return pytest.importorskip("pylibmc").Client(names)
    if kind == "HashClient":
        return pymemcache.HashClient(addresses)
    kinds = {"Client": pymemcache.Client, "PooledClient": pymemcache.PooledClient}
    return kinds[kind](addresses[0], connect_timeout=2, timeout=2)


@contextmanager
def on_client(kind: str, servers: list[Server], clock: Clock = system_clock) -> Iterator[MemcachedStore]:
    """Open a store on a client of the *kind*, and close the client."""
    if kind == "own":
        hosts = ",".join(f"127.0.0.1:{server.address[1]}" for server in servers)
        store = MemcachedStore.from_url(f"memcached://{hosts}", clock=clock)
        with closing(store):
            yield store
        return
    client = given(kind, *(server.address for server in servers))
    yield MemcachedStore(client, clock=clock)
    Tidy.close()
    getattr(client, "close", client.disconnect_all)()


@contextmanager
def counted(server: Server) -> Iterator[Counter[str]]:
    """Count the commands on records that the server is sent inside the block."""
    names = ("cmd_get", "cmd_set", "cmd_touch", "cas_misses", "delete_hits", "delete_misses")

    def stats() -> Counter[str]:
        pairs = (line.split()[1:] for line in ask(server.address, b"stats\r\n").decode().splitlines() if " " in line)
        return Counter({name: int(value) for name, value in pairs if name in names})

    counts, before = Counter[str](), stats()
    yield counts
    counts.update(stats() - before)


def data_of(store: MemcachedStore, key: str) -> bytes | None:
    """Return the data of the live record under *key*."""
    record = store.load(key)
    return record.data if record else None
