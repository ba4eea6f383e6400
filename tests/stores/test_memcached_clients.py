"""Clients of memcached: our own connections, and those that an application brings."""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import memcache
import pymemcache
import pytest
from flask import Flask
from support import disk
from support.memcached import DAY, data_of, on_client
from support.servers import IS_ROOT, Server, ask, program, start_memcached, wait_for

from holdfast.clock import system_clock
from holdfast.errors import ConfigurationError
from holdfast.flask import Session
from holdfast.sessions.manager import directory
from holdfast.stores.memcached import MemcachedStore
from holdfast.stores.memcached.clients import PooledClient
from holdfast.stores.registry import open_store

pytestmark = pytest.mark.memcached

FORKED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from support.memcached import given
from holdfast.stores.memcached import MemcachedStore
from pathlib import Path

kind, port = sys.argv[2], int(sys.argv[3])
if kind == "own":
    store = MemcachedStore.from_url(f"memcached://127.0.0.1:{port}")
else:
    store = MemcachedStore(given(kind, ("127.0.0.1", port)))
keys = [os.urandom(32).hex() for _ in range(2)]
for key in keys:
    assert store.create(key, key.encode(), expires_at=2**50)
child = os.fork()
mine = keys[child == 0]
for _ in range(100):
    record = store.load(mine)
    assert record.data == mine.encode(), "the other process's answer"
    assert isinstance(store.replace(mine, mine.encode(), expect=record.version, expires_at=2**50), int)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.load(keys[0]).data == keys[0].encode()
print("apart")
"""


def test_answers_do_not_wait_in_a_buffer(memcached_server: Server) -> None:
    """Our connections send at once (TCP_NODELAY) and do not wait for ever."""
    with on_client("own", [memcached_server]) as store:
        store.load("ab" * 32)
        assert isinstance(store._client, PooledClient)
        [[connection]] = store._client._idle.get().values()
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert connection.sock.gettimeout() == 2.0


@pytest.mark.parametrize("kind", ["own", "python-memcached", "Client"])
def test_an_interrupted_call_leaves_no_answer_behind(
    kind: str, memcached_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a call that was interrupted between request and answer, the next call gets its own answer."""
    key, other = secrets.token_hex(32), secrets.token_hex(32)
    with on_client(kind, [memcached_server]) as store:
        store.create(key, b"data", expires_at=system_clock() + DAY)
        store.create(other, b"other", expires_at=system_clock() + DAY)
        module, name = (
            (memcache._Host, "readline") if kind == "python-memcached" else (pymemcache.client.base, "_readline")
        )
        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.load(key)
        assert data_of(store, other) == b"other"
        assert data_of(store, key) == b"data"


def interrupt(*_: object) -> NoReturn:
    """Do what a signal or a timeout of gevent does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["own", "python-memcached", "pylibmc", "Client", "PooledClient"])
def test_a_forked_child_shares_no_connection(kind: str, memcached_server: Server) -> None:
    """Parent and child work on the store at once after a fork, and neither gets the other's answers."""
    if kind == "pylibmc":
        pytest.importorskip("pylibmc")
    tests = Path(__file__).parent.parent
    assert disk.run(FORKED, tests, kind, memcached_server.address[1]) == "apart\n"


class Hidden:
    """A client whose outages look like missing records."""

    ignore_exc = True
    gets = add = cas = delete = print


class Asynchronous:
    """A client whose methods are coroutines."""

    add = cas = delete = print

    async def gets(self, key: str) -> None:
        """Never be called."""


class Binary:
    """A client with the signatures of python-binary-memcached, whose `add` knows no *noreply*."""

    gets = delete = print

    def add(self, key: str, value: bytes, time: int = 0, compress_level: int = -1) -> None:
        """Never be called."""

    cas = add


@pytest.mark.parametrize(
    ("client", "problem"),
    [
        (Binary(), r"Binary cannot be used, its add\(\) does not return whether it stored"),
        ("127.0.0.1:11211", r"builtins\.str is no memcached client, it has no gets"),
        ({}, r"builtins\.dict is no memcached client"),
        (Hidden(), r"Hidden has ignore_exc=True"),
        (Asynchronous(), r"Asynchronous is asynchronous"),
        (pymemcache.PooledClient("127.0.0.1", ignore_exc=True), r"PooledClient has ignore_exc=True"),
    ],
)
def test_a_client_that_cannot_be_used_is_named(client: Any, problem: str) -> None:
    """A wrong client is an error at start-up that names its class, also in ``SESSION_MEMCACHED``."""
    with pytest.raises(ConfigurationError, match=problem):
        MemcachedStore(client)
    app = Flask("shop")
    app.config.update(SESSION_TYPE="memcached", SESSION_MEMCACHED=client)
    setting = "SESSION_MEMCACHED is text" if isinstance(client, str) else f"SESSION_MEMCACHED: .*{problem}"
    with pytest.raises(ConfigurationError, match=setting):
        Session(app)


def test_the_default_address_is_flask_session_s() -> None:
    """``SESSION_TYPE = "memcached"`` alone means 127.0.0.1:11211, without a connection."""
    app = Flask("shop")
    app.config.update(SESSION_TYPE="memcached")
    store = directory(Session(app).manager).store
    assert isinstance(store, MemcachedStore)
    assert isinstance(store._client, PooledClient)
    assert store._client._servers == ("127.0.0.1:11211",)


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("memcached://a", ("a:11211",)),
        ("memcached://A.example,b:1,a.example:11211/", ("a.example:11211", "b:1")),
        ("memcached://[::1],[FE80::2]:12", ("[::1]:11211", "[fe80::2]:12")),
        ("memcached:///run/mem%20cached.sock", ("/run/mem cached.sock",)),
    ],
)
def test_a_url_names_servers(url: str, servers: tuple[str, ...]) -> None:
    """Hosts with or without a port, IPv6 in brackets, or the path of one socket; the same server is the same."""
    store = MemcachedStore.from_url(url)
    assert isinstance(store._client, PooledClient)
    assert store._client._servers == servers


@pytest.mark.parametrize(
    "url", ["memcached://", "memcached://a,,b", "memcached://u:secret@a", "memcached://a:1x", "memcached://a/b"]
)
def test_a_url_that_is_not_valid_is_refused(url: str) -> None:
    """The message says how to write one, and does not quote what may be a password."""
    with pytest.raises(ConfigurationError, match=r"memcached://host\[:port\]") as caught:
        open_store(url, root=Path())
    assert "secret" not in str(caught.value)


def test_a_name_with_several_addresses(memcached_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens at a name's first address, as with ``localhost`` and ``::1``, the next one is used."""
    key, port, resolve = secrets.token_hex(32), memcached_server.address[1], socket.getaddrinfo

    def both(host: str, *arguments: Any, **named: Any) -> list[Any]:
        hosts = ["127.0.0.2", "127.0.0.1"] if host == "cache.example" else [host]
        return [found for each in hosts for found in resolve(each, *arguments, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with closing(MemcachedStore.from_url(f"memcached://cache.example:{port}")) as store:
        store.create(key, b"data", expires_at=system_clock() + DAY)
        assert data_of(store, key) == b"data"


def test_a_socket_on_disk_works() -> None:
    """``memcached:///path`` is a Unix socket."""
    key = secrets.token_hex(32)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        server = subprocess.Popen([program("memcached"), *(["-u", "root"] if IS_ROOT else []), "-s", path])
        try:
            wait_for(lambda: ask(path, b"version\r\n"))
            with closing(MemcachedStore.from_url(f"memcached://{path}")) as store:
                store.create(key, b"data", expires_at=system_clock() + DAY)
                assert data_of(store, key) == b"data"
        finally:
            server.kill()
            server.wait()


def test_idle_connections_of_a_given_pool_that_were_closed() -> None:
    """After a restart of the server, or a proxy's cut, the first call that fails drops them all, and is repeated."""
    server = start_memcached()
    client = pymemcache.PooledClient(server.address)
    store, pool = MemcachedStore(client), client.client_pool
    try:
        for connection in [pool.get() for _ in range(6)]:
            connection.version()
            pool.release(connection)
        server.restart()
        assert store.load(secrets.token_hex(32)) is None
    finally:
        client.close()
        server.stop()
