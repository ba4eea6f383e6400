"""Four calls on memcached: over our own connections, or over given clients.

The methods of a given client determine its kind. Each kind can be used by any number of threads, and in a forked
process it reconnects: on a shared connection, one would get the other's answers.
"""

from __future__ import annotations

import abc
import hashlib
import importlib
import inspect
import operator
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, Any

from holdfast.errors import ConfigurationError
from holdfast.stores.shared.clients import PerProcess, class_name, drain, require_methods

# The minimum of memcached's size limit, in bytes, and its overhead for each value: the item, its unique id, one of our
# keys, and the end of a line.
_SMALLEST_LIMIT = 1024
_OVERHEAD = 48 + 8 + 65 + 2

# By default pymemcache does not wait for the answers to these.
_REPLIES = {method: {"noreply": False} for method in ("add", "cas", "delete")}


class MemcachedClient(abc.ABC):
    """The memcached calls of the store, with pymemcache's names.

    Any exception means that the server cannot be reached, or refused. A False may also mean that an earlier attempt was
    applied and its answer lost, if the client repeats calls by itself. *where* has the servers, for messages, if they
    are known: `` at host:port``.
    """

    where = ""

    def gets(self, key: str) -> tuple[Any, Any] | None:
        """Return the value and the unique id that `cas` needs to replace it; None if there is none."""
        return _found(self._use(key, "gets"))

    def add(self, key: str, value: bytes, expire: int) -> bool:
        """Store the value if none exists. *expire* is in memcached's form."""
        return bool(self._use(key, "add", value, expire))

    def cas(self, key: str, value: bytes, expire: int, unique: Any) -> bool:
        """Store the value if one exists and it is still the one that `gets` returned with *unique*."""
        return bool(self._use(key, "cas", value, unique, expire))

    def delete(self, key: str) -> bool:
        """Remove the value; return whether it existed."""
        return bool(self._use(key, "delete"))

    @abc.abstractmethod
    def ping(self) -> None:
        """Return if every server answers."""

    def close(self) -> None:  # noqa: B027 (only connections of our own have something to close)
        """Close our own connections. The owner of a given client closes it."""

    @abc.abstractmethod
    def _use(self, key: str, method: str, *arguments: Any) -> Any:
        """Return the result of the client's *method* for *key*."""


class PooledClient(MemcachedClient):
    """Connections to *servers*, each ``host:port`` or the path of a socket, one for each thread that works at once."""

    def __init__(self, servers: Iterable[str], timeout: float) -> None:
        self._driver: Any = importlib.import_module("pymemcache")
        self._servers = tuple(dict.fromkeys(servers))
        self.where = f" at {' or '.join(self._servers)}"
        self._timeout = timeout
        self._idle = PerProcess(lambda: {server: deque[Any]() for server in self._servers})

    def ping(self) -> None:
        for server in self._servers:
            self._at(server, "version")

    def close(self) -> None:
        for idle in (self._idle.pop() or {}).values():
            drain(idle, operator.methodcaller("close"))

    def _use(self, key: str, method: str, *arguments: Any) -> Any:
        return self._at(_server_of(self._servers, key), method, key, *arguments, **_REPLIES.get(method, {}))

    def _at(self, server: str, method: str, *arguments: Any, **named: Any) -> Any:
        idle = self._idle.get()[server]
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connect(server)
        try:
            answer = getattr(connection, method)(*arguments, **named)
        except BaseException:
            # The next caller must not get an outstanding answer, and idle connections are as old as this one.
            connection.close()
            drain(idle, operator.methodcaller("close"))
            raise
        idle.append(connection)
        return answer

    def _connect(self, server: str) -> Any:
        """Return a client of *server*, at the first of its addresses that answers: pymemcache tries only one."""
        *before, last = _addresses_of(server)
        for address in before:
            client = self._client_of(address)
            with suppress(OSError):
                client.version()
                return client
        return self._client_of(last)

    def _client_of(self, address: Any) -> Any:
        return self._driver.Client(address, connect_timeout=self._timeout, timeout=self._timeout, no_delay=True)


class GivenPymemcache(MemcachedClient):
    """A client with pymemcache's methods. A client without a pool is used by one thread at a time.

    A client with a deserializer is refused: it would load a pickle that an attacker stored.

    Only the per-server clients of a ``HashClient`` are used: for a failed server it answers as if no value existed, and
    later asks another server.
    """

    def __init__(self, client: Any) -> None:
        self._clients: dict[str, Any] = getattr(client, "clients", None) or {"": client}
        if not all(map(_reads_bytes, self._clients.values())):
            raise ConfigurationError(
                f"{class_name(client)} has a serde, with which anybody who can write to memcached may run code here: "
                "make a client without it"
            )
        self._pooled = all(hasattr(client, "client_pool") for client in self._clients.values())
        self._connected_in = {os.getpid()}
        self._turns: dict[int, threading.Lock] = {}

    def ping(self) -> None:
        for server in self._clients:
            self._at(server, "version")

    def _use(self, key: str, method: str, *arguments: Any) -> Any:
        return self._at(_server_of(self._clients, key), method, key, *arguments, **_REPLIES.get(method, {}))

    def _at(self, server: str, method: str, *arguments: Any, **named: Any) -> Any:
        process = os.getpid()
        turn = self._turns.setdefault(process, threading.Lock())
        if process not in self._connected_in:
            with turn:
                if process not in self._connected_in:
                    self._disconnect()
                    self._connected_in.add(process)
        with nullcontext() if self._pooled else turn:
            try:
                return getattr(self._clients[server], method)(*arguments, **named)
            except BaseException:
                if self._pooled:  # idle connections are as old as this one; others may be in use
                    pool = self._clients[server].client_pool
                    for _ in pool.free:
                        pool.destroy(pool.get())
                else:
                    self._disconnect()
                raise

    def _disconnect(self) -> None:
        for client in self._clients.values():
            client.close()


class GivenPythonMemcached(MemcachedClient):
    """A client with python-memcached's methods, which has its own connections in each thread.

    It reports an outage only by marking servers as dead. Then it would ask no server, or another one, for half a
    minute.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._mine = threading.local()

    def gets(self, key: str) -> tuple[Any, Any] | None:
        # The client holds the unique ids of cas, under its own names of the keys.
        with self._cas_ids({}) as ids:
            try:
                value = self._use(key, "gets")
            except ValueError:
                if not ids:
                    raise
                value = None  # there is one, and it is foreign
        return (value, ids) if ids else None

    def add(self, key: str, value: bytes, expire: int) -> bool:
        return super().add(key, value, expire) or self._refused(value)

    def cas(self, key: str, value: bytes, expire: int, unique: Any) -> bool:
        with self._cas_ids(unique):
            return bool(self._use(key, "cas", value, expire)) or self._refused(value)

    def ping(self) -> None:
        self._call("get_stats")

    def _refused(self, value: bytes) -> bool:
        """Return False, after checking that *value* was not refused for its size, which the client does not report."""
        if len(value) >= _SMALLEST_LIMIT:
            limits = [settings["item_size_max"] for _, settings in self._call("get_stats", "settings")]
            if any(len(value) + _OVERHEAD > int(limit) for limit in limits):
                raise ValueError("object too large for cache")
        return False

    def _use(self, key: str, method: str, *arguments: Any) -> Any:
        return self._call(method, key, *arguments)

    def _call(self, method: str, *arguments: Any) -> Any:
        client = self._client
        if getattr(self._mine, "process", None) != os.getpid():
            client.disconnect_all()
            self._mine.process = os.getpid()
        client.forget_dead_hosts()
        try:
            answer = getattr(client, method)(*arguments)
        except BaseException:
            client.disconnect_all()
            raise
        if any(server.deaduntil for server in client.servers):
            raise ConnectionError("a memcached server does not answer")
        return answer

    @contextmanager
    def _cas_ids(self, ids: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        client = self._client
        kept = client.cache_cas, client.cas_ids, client.unpickler, client.decompressor
        # Holdfast stores no compressed data.
        client.cache_cas, client.cas_ids, client.unpickler, client.decompressor = True, ids, _Unread, lambda _: b""
        try:
            yield ids
        finally:
            client.cache_cas, client.cas_ids, client.unpickler, client.decompressor = kept


class _Unread:
    """Replaces an unpickler, and returns the bytes of the pickle: a client would load any, and Holdfast stores none."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def load(self) -> bytes:
        return self._file.read()


class GivenPylibmc(MemcachedClient):
    """A client with pylibmc's methods. Each thread uses a clone of it, until a call fails.

    A failed connection may look like a missing value; the next call is refused.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._mine = threading.local()

    def gets(self, key: str) -> tuple[Any, Any] | None:
        try:
            while True:
                found = _found(self._use(key, "gets"))
                if found or self._use(key, "get") is None:
                    return found
        except Exception as error:
            if "decompress" not in str(error):
                raise
            return b"", 0  # there is one, and it is foreign

    def cas(self, key: str, value: bytes, expire: int, unique: Any) -> bool:
        try:
            return super().cas(key, value, expire, unique)
        except Exception as error:
            if type(error).__name__ == "NotFound":
                return False
            raise

    def ping(self) -> None:
        self._call("get_stats")

    def _use(self, key: str, method: str, *arguments: Any) -> Any:
        # With a str, pylibmc 1.6.3's `gets` frees the bytes too early, and may ask for the key of another thread.
        return self._call(method, key.encode(), *arguments)

    def _call(self, method: str, *arguments: Any) -> Any:
        process, clone = getattr(self._mine, "clone", (0, None))
        if process != os.getpid():
            _inherited.append(clone)
            clone = _reading_bytes(self._client.clone())
            clone.behaviors = {"cas": True, "tcp_nodelay": True, "auto_eject": False}
            self._mine.clone = os.getpid(), clone
        try:
            return getattr(clone, method)(*arguments)
        except BaseException:
            self._mine.clone = 0, None
            raise


def _reading_bytes(clone: Any) -> Any:
    """Return *clone* after limiting it to bytes, also of a pickle: it would load any, and Holdfast stores none."""
    driver = sys.modules.get("_pylibmc")
    if driver is not None and isinstance(clone, driver.client):
        kind = type(clone)
        read = {"deserialize": lambda _clone, data, flags: bytes(data) if flags in {0, _PICKLE} else b""}
        clone.__class__ = type(kind.__name__, (kind,), read)
        # The constructor records that its class reads by itself, before it finds that there is no server to add.
        with suppress(driver.Error):
            driver.client.__init__(clone, [], clone.binary)
    return clone


# pylibmc's flag of a pickle.
_PICKLE = 1


# Destroying a clone closes the connection that it shares with the parent, which still uses it.
_inherited: list[Any] = []


def client_for(client: Any) -> MemcachedClient:
    """Return *client* wrapped in the four calls; refuse one that lacks a method, is asynchronous, or hides outages."""
    require_methods(
        client,
        ("gets", "add", "cas", "delete"),
        kind="memcached",
        give="a client of pymemcache, pylibmc or python-memcached",
    )
    if getattr(client, "ignore_exc", False):
        raise ConfigurationError(
            f"{class_name(client)} has ignore_exc=True, with which an outage would end every session: "
            "make the client without it"
        )
    if callable(getattr(client, "forget_dead_hosts", None)):
        return GivenPythonMemcached(client)
    if callable(getattr(client, "clone", None)):
        return GivenPylibmc(client)
    try:
        inspect.signature(client.add).bind("key", b"value", 60, noreply=False)
    except TypeError as error:
        raise ConfigurationError(
            f"{class_name(client)} cannot be used, its add() does not return whether it stored ({error}): "
            "give a client of pymemcache, pylibmc or python-memcached"
        ) from None
    return GivenPymemcache(client)


def _reads_bytes(client: Any) -> bool:
    """Return whether a client of pymemcache returns values unchanged, with any flags."""
    serde, value = getattr(client, "serde", None), b"N."  # None as a pickle
    try:
        return serde is None or all(serde.deserialize(b"key", value, flags) is value for flags in (0, 1, 2, 4, 8, 16))
    except Exception:  # noqa: BLE001  # after any failure, the client must not keep it
        return False


def _addresses_of(server: str) -> list[Any]:
    """Return the addresses of *server*, such as the two of ``localhost``; for the path of a socket, the path."""
    if server.startswith("/"):
        return [server]
    host, _, port = server.rpartition(":")
    return [found[4][:2] for found in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)]


def _server_of(servers: Collection[str], key: str) -> str:
    """Return the server of *servers* for *key*: most keys keep theirs when a server is added or removed."""
    if len(servers) == 1:
        return next(iter(servers))
    return max(servers, key=lambda server: hashlib.blake2b(f"{server} {key}".encode(), digest_size=8).digest())


def _found(answer: tuple[Any, Any]) -> tuple[Any, Any] | None:
    return None if answer[1] is None else answer
