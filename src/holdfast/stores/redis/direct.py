"""Clients that are made on first use, and the shortest way to send a command on a connection of theirs."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from holdfast.stores.shared import clients
from holdfast.stores.shared.clients import drain
from holdfast.stores.shared.turns import Turns

# The seconds that a call waits for a free connection.
_QUEUE = 3
# For so many seconds after its last use a connection counts as open: the write of a request follows its read.
_JUST_USED = 0.1


class LazyClient:
    """Makes its client on first use: some constructors ask the server.

    *turns* bounds the calls at once to the number of connections that the client may have to a server.
    """

    def __init__(self, make: Callable[..., Any], settings: dict[str, Any]) -> None:
        self._make = functools.partial(make, **settings)
        self.turns = Turns(settings["max_connections"], _QUEUE)
        self._lock = threading.Lock()
        self._client: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = _replacing_idle(self._make())
        return getattr(self._client, name)

    def close(self) -> None:
        """Close the client, if there is one."""
        if self._client is not None:
            self._client.close()


def _replacing_idle(client: Any) -> Any:
    """Return *client*, whose new connections connect anew when they were idle for so long that a firewall cuts them."""
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        pool.connection_class = _rested(pool.connection_class)
        return client
    manager = client.nodes_manager
    make = manager.create_redis_node
    manager.create_redis_node = lambda *address, **settings: _replacing_idle(make(*address, **settings))
    for node in client.get_nodes():
        if node.redis_connection is not None:
            _replacing_idle(node.redis_connection)
    return client


def _rested(kind: Any) -> Any:
    class Rested(kind):  # type: ignore[misc]  # a class of the driver's, by scheme
        taken_at = 0.0

        def connect(self) -> None:
            """Connect if need be: the pool asks for it before each use."""
            now = time.monotonic()
            if now - self.taken_at > clients.LONGEST_IDLE:
                self.disconnect()
            self.taken_at = now
            super().connect()

    return Rested


class DirectClient(LazyClient):
    """The client of one server. Its commands of every request go out on connections of its own.

    A client's own way to a command, with its pool, retries, metrics and parsing of options, takes longer than the
    server. A connection that failed, or that a forked process inherited, is not used again.
    """

    def __init__(self, make: Callable[..., Any], settings: dict[str, Any]) -> None:
        super().__init__(make, settings)
        self._start()

    def _start(self) -> None:
        self._idle: deque[tuple[Any, float]] = deque()
        self._pid = os.getpid()

    def get(self, name: bytes) -> Any:
        """Return the value of the key *name*, or None."""
        return self._run((b"GET", name))

    def evalsha(self, sha: str, count: int, *arguments: Any) -> Any:
        """Return what the script known as *sha* returns, for *count* keys and then its arguments."""
        return self._run((b"EVALSHA", sha, count, *arguments))

    def eval(self, code: bytes, count: int, *arguments: Any) -> Any:
        """Return what the script *code* returns, which is known by its sha from then on."""
        return self._run((b"EVAL", code, count, *arguments))

    def execute_command(self, *command: Any) -> Any:
        """Return what the server answers to *command*."""
        return self._run(command)

    def drop_idle(self) -> None:
        """Close the connections that no call uses."""
        drain(self._idle, lambda idle: idle[0].disconnect())

    def close(self) -> None:
        """Close the client, if there is one, and the idle connections."""
        self.drop_idle()
        super().close()

    def _run(self, command: tuple[Any, ...]) -> Any:
        connection = self._take()
        try:
            connection.send_packed_command((packed(command),), check_health=False)
            return connection.read_response()
        except BaseException as error:
            if not _is_an_answer(error):
                connection.disconnect()
                connection = None
            raise
        finally:
            if connection is not None:
                self._idle.append((connection, time.monotonic()))

    def _take(self) -> Any:
        if self._pid != os.getpid():
            self._start()
        while self._idle:
            try:
                connection, used_at = self._idle.pop()
            except IndexError:  # another thread has taken it
                break
            idle = time.monotonic() - used_at
            # What can be read of an idle connection is its end, or what is left of another call.
            if idle <= clients.LONGEST_IDLE and (idle <= _JUST_USED or not _can_read(connection)):
                return connection
            connection.disconnect()
        pool = self.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        return connection


def packed(command: tuple[Any, ...]) -> bytes:
    """Return *command* in the protocol of the server. Its parts are bytes, numbers or ASCII texts."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def _can_read(connection: Any) -> bool:
    try:
        return bool(connection.can_read())
    except Exception:  # noqa: BLE001  # of the driver's: the connection is over
        return True


def _is_an_answer(error: BaseException) -> bool:
    """Return whether *error* is what the server answered, so that the connection is in order."""
    return any(base.__name__ == "ResponseError" for base in type(error).__mro__)
