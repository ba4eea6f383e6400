"""Sessions in memcached: fast, shared, and lost when memory is full or the server restarts.

A value is packed as in `holdfast.stores.shared.wire`, with the end of its key. The version is the store's own:
memcached's changes with every touch, and a set does not return it. It only makes a step atomic.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import unquote

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, RecordTooLarge, StoreUnavailable
from holdfast.records.record import Conflict, Gone, Record, Version
from holdfast.stores.contract import HealthFinding
from holdfast.stores.memcached.clients import PooledClient, client_for
from holdfast.stores.shared.clients import is_mistake, likely_fix
from holdfast.stores.shared.options import Converter, host_and_port, seconds, whole
from holdfast.stores.shared.wire import MARGIN, pack, unpack

T = TypeVar("T")

# The longest key of memcached has 250 bytes, none of them a space or a control character.
_PREFIX = re.compile(r"[!-~]{0,186}", re.ASCII)
# A name, an IPv4 address, or an IPv6 address in brackets.
# The expiry of a foreign value, as far as known.
_NEVER = 2**53
# Above this many seconds memcached interprets an expiry as a time since the epoch, with 31 bits.
_LONGEST_SPAN = 30 * 86_400
_LAST_SECOND = 2**31 - 1
# The number of attempts for a step that concurrent writes prevent.
_ATTEMPTS = 100
_REFUSED = (
    "memcached does not store a record, though nothing is in its way: is its memory full, or was it started with -C?"
)
# A call that fails sooner, in seconds, met a closed connection; a later one waited for an answer.
_AT_ONCE = 0.1


class MemcachedStore:
    """Keeps records in one memcached server or in several, each record in one of them.

    There is no index by owner and no scan: memcached cannot list its keys. It loses all records at a restart, and
    evicts the least recently used when its memory is full.

    Args:
        client: Such as ``pymemcache.PooledClient``, ``pylibmc.Client`` or python-memcached's ``memcache.Client``. The
            store does not close it.
        max_bytes: The largest data that is sent. The server's own limit, 1 MiB unless ``-I`` sets another, includes
            some 220 bytes more. Default: 1,000,000.
        prefix: The prefix of all keys. Default: none.
        clock: Returns the time in milliseconds since the epoch. It alone decides expiry; the server removes expired
            records a few minutes later.

    Raises:
        ConfigurationError: The client lacks a method, is asynchronous, or hides outages.
    """

    #: It removes live records, when its memory is full.
    evicts: ClassVar[bool] = True

    url_options: ClassVar[Mapping[str, Converter]] = {"timeout": seconds, "max_bytes": whole(1), "prefix": str}

    def __init__(
        self, client: Any, *, max_bytes: int = 1_000_000, prefix: str = "", clock: Clock = system_clock
    ) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(
                f"the prefix {prefix!r} cannot begin a key of memcached: at most 186 ASCII characters, without spaces"
            )
        self._prefix = prefix
        self._client = client if isinstance(client, PooledClient) else client_for(client)
        self._max_bytes = max_bytes
        self._clock = clock
        # The record that this thread read last, so that a save or a touch after a load is one step. `cas` detects that
        # it is outdated.
        self._seen = threading.local()

    @classmethod
    def from_url(cls, url: str, *, clock: Clock = system_clock, timeout: float = 2.0, **options: Any) -> MemcachedStore:
        """Return the store at *url*. It does not connect yet.

        *timeout* is the number of seconds to wait for each answer.
        """
        return cls(PooledClient(_servers(url), timeout), clock=clock, **options)

    def load(self, key: str, /) -> Record | None:
        found = self._lookup(key)
        return found.record if found else None

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        record = Record(data, secrets.randbits(64), expires_at, owner)
        for _ in range(_ATTEMPTS):
            if self._write("add", key, record):
                return record.version
            found = self._lookup(key, expired=True)
            if found is None:
                continue
            if found.record.expires_at > self._clock():
                return None
            if self._write("cas", key, record, found.unique):
                return record.version
        raise StoreUnavailable(_REFUSED)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        record = Record(data, secrets.randbits(64), expires_at, owner)
        found = self._remembered(key)
        if found is None or found.record.version != expect:
            found = self._lookup(key)
        for _ in range(_ATTEMPTS):
            if found is None:
                return Gone()
            if found.record.version != expect:
                return Conflict(found.record)
            if self._write("cas", key, record, found.unique):
                return record.version
            found = self._lookup(key)
        raise StoreUnavailable(_REFUSED)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        found = self._remembered(key)
        if found is None or expires_at <= found.record.expires_at:
            found = self._lookup(key)
        for _ in range(_ATTEMPTS):
            if found is None or expires_at <= found.record.expires_at:
                return found is not None
            old = found.record
            if self._write("cas", key, Record(old.data, old.version, expires_at, old.owner), found.unique):
                return True
            found = self._lookup(key)
        raise StoreUnavailable(_REFUSED)

    def delete(self, key: str, /) -> bool:
        found = self._lookup(key, expired=True)
        deleted = found is not None and self._ask("delete", self._prefix + key)
        return found is not None and deleted and found.record.expires_at > self._clock()

    def ping(self) -> None:
        self._ask("ping")

    def check_health(self) -> list[HealthFinding]:
        lost = "a full server drops the least recently used sessions, and a restart all of them"
        fix = "start memcached with enough memory (-m), or choose another store"
        return [HealthFinding("eviction", lost, fix, ok=None)]

    def ask(self, work: Callable[[Any], T], /) -> T:
        """Return the result of *work* with the store's client. It may use other keys.

        Raises:
            StoreUnavailable: The client raised an exception.
        """
        try:
            return work(self._client)
        except Exception as error:  # the boundary to drivers of several makers, whose errors share no other class
            raise self._fault(error) from error

    def close(self) -> None:
        self._client.close()

    def _lookup(self, key: str, *, expired: bool = False) -> _Found | None:
        """Return the record under *key* if it is live, or if it is *expired* and that is allowed, and remember it."""
        answer = self._ask("gets", self._prefix + key)
        found = None if answer is None else _Found(_record(key, answer[0]), answer[1])
        self._seen.last = key, found
        return found if found and (expired or found.record.expires_at > self._clock()) else None

    def _remembered(self, key: str) -> _Found | None:
        """Return the live record that this thread read last, once, if it was under *key*."""
        seen: tuple[str, _Found | None] = getattr(self._seen, "last", ("", None))
        self._seen.last = "", None
        found = seen[1] if seen[0] == key else None
        return found if found and found.record.expires_at > self._clock() else None

    def _write(self, method: str, key: str, record: Record, *unique: Any) -> bool:
        size = len(record.data)
        if size > self._max_bytes:
            raise RecordTooLarge(size, self._max_bytes)
        name, value = self._prefix + key, pack(record, _end_of(key))
        stored: bool = self._ask(method, name, value, self._expire(record.expires_at), *unique, size=size)
        return stored

    def _expire(self, expires_at: int) -> int:
        """Return *expires_at* plus the margin, in memcached's form. It is never 0, which would mean for ever."""
        seconds = -(-(max(0, expires_at - self._clock()) + MARGIN) // 1000)
        # A time since the epoch is compared with the server's clock, not ours.
        return seconds if seconds <= _LONGEST_SPAN else min(int(time.time()) + seconds, _LAST_SECOND)

    def _ask(self, method: str, *arguments: Any, size: int = 0) -> Any:
        """Return the client's answer. A read on a closed connection is repeated."""
        for is_last in (method not in {"gets", "ping"}, True):
            start = time.monotonic()
            try:
                return getattr(self._client, method)(*arguments)
            except Exception as error:  # the boundary to drivers of several makers, whose errors share no other class
                if type(error).__name__ == "TooBig" or "too large" in str(error):
                    # The server does not report its limit.
                    raise RecordTooLarge(size, size - 1) from error
                if is_last or time.monotonic() - start > _AT_ONCE:
                    raise self._fault(error) from error
        raise AssertionError  # the last attempt returns or raises

    def _fault(self, error: Exception) -> StoreUnavailable:
        where = self._client.where  # the system's errors name no server
        tls = likely_fix(error, use="give a pymemcache client with tls_context", omit="give one without")
        permanent = is_mistake(error) or "unauthenticated" in str(error)
        return StoreUnavailable(
            f"memcached{where} did not execute a command: {type(error).__name__}{tls}", permanent=permanent
        )


class _Found(NamedTuple):
    """A record, and the unique id that memcached needs to replace it."""

    record: Record
    unique: Any


def _record(key: str, value: Any) -> Record:
    end = _end_of(key)
    found = unpack(value, len(end)) if isinstance(value, bytes) else None
    if found is None:
        return Record(b"", b"", _NEVER)
    record, end_of_key = found
    if end_of_key != end:
        raise StoreUnavailable(
            "the memcached client answered with the value of another key: is it used by two at once?"
        )
    return record


def _end_of(key: str) -> bytes:
    return bytes.fromhex(key[-16:])


def _servers(url: str) -> list[str]:
    hosts = url.partition("://")[2]
    if hosts.startswith("/"):
        return [unquote(hosts)]
    try:
        return [_server(text) for text in hosts.removesuffix("/").split(",")]
    except ValueError as error:
        raise ConfigurationError(
            f"{error} in the memcached URL: write memcached://host[:port],host[:port] or memcached:///path/of/a/socket"
        ) from None


def _server(text: str) -> str:
    host, port = host_and_port(text, 11211)
    return f"{host}:{port}".lower()
