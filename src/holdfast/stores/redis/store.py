"""Sessions in Redis or Valkey: one server, one behind Sentinels, or a Cluster.

Any client with redis-py's methods works. The value layout and the index are in `holdfast.stores.redis.scripts`.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from typing import Any, ClassVar, TypeVar

from holdfast.clock import Clock, system_clock
from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict, Gone, Page, Record, Rotation, Version
from holdfast.stores.contract import HealthFinding
from holdfast.stores.redis import scripts
from holdfast.stores.redis.client import OPTIONS, check_client, client_from_url
from holdfast.stores.redis.direct import DirectClient, LazyClient
from holdfast.stores.redis.faults import takes_no_writes, unavailable, without_primary
from holdfast.stores.redis.health import SAMPLE, about_eviction, about_expiry, about_server, worst_of
from holdfast.stores.redis.walk import layout_of, next_page, scan_node
from holdfast.stores.shared.answers import NO_KEY, batches
from holdfast.stores.shared.clients import has_method
from holdfast.stores.shared.options import Converter, seconds, whole

T = TypeVar("T")

_logger = logging.getLogger("holdfast")

# How many records a script may remove: others wait for it.
_DISCARDED = 250

# The seconds between questions to Sentinels.
_ASK_AGAIN = 1.0


class RedisClusterStore:
    """Keeps records in a Redis Cluster, each under its own key; an owner's index is on another node.

    Args:
        client: Such as ``redis.RedisCluster``. The store does not close it.
        prefix: The prefix of all keys.
        wait_replicas: The number of replicas that must have a write to confirm it. Default: 1 in a Cluster and with a
            client from Sentinels, otherwise 0.
        wait_timeout: The seconds to wait for them.
        clock: Returns the time in milliseconds since the epoch. It alone decides expiry; the server removes expired
            records a few minutes later.

    Raises:
        ConfigurationError: The client lacks a method, is asynchronous, reads from replicas, or decodes values.
    """

    url_options: ClassVar[Mapping[str, Converter]] = {
        "prefix": str,
        "wait_replicas": whole(),
        "wait_timeout": seconds,
        **OPTIONS,
    }

    # Whether a script on a record may write to an index as well.
    _index_in_reach = False

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "holdfast:",
        wait_replicas: int | None = None,
        wait_timeout: float = 0.5,
        clock: Clock = system_clock,
    ) -> None:
        if not isinstance(client, LazyClient):
            check_client(client)
        self._client = client
        self._ask_at = 0.0
        self._turns = client.turns if isinstance(client, LazyClient) else nullcontext()
        self._prefix = prefix.encode()
        if wait_replicas is None:
            wait_replicas = 1 if self._is_replicated() else 0
        self._wait = wait_replicas, round(wait_timeout * 1000)
        self._clock = clock
        # Whether the server has `SET … IFEQ`, as Valkey 8.1 and Redis 8.4 do; None until the first save.
        self._compares: bool | None = None

    @classmethod
    def from_url(cls, url: str, *, clock: Clock = system_clock, **options: Any) -> RedisClusterStore:
        """Return the store at *url*. It does not connect yet."""
        own = {name: options.pop(name) for name in ("prefix", "wait_replicas", "wait_timeout") if name in options}
        in_cluster = url.partition("://")[0].lower().endswith("+cluster")
        store_class = RedisClusterStore if in_cluster else RedisStore
        return store_class(client_from_url(url, options), clock=clock, **own)

    @classmethod
    def from_client(cls, client: Any, *, prefix: str = "holdfast:", clock: Clock = system_clock) -> RedisClusterStore:
        """Return the store on *client*, whose methods show whether it is one of a Cluster."""
        store_class = RedisClusterStore if has_method(client, "get_primaries") else RedisStore
        return store_class(client, prefix=prefix, clock=clock)

    def load(self, key: str, /) -> Record | None:
        try:
            value = self._call("get", self._name(key))
        except StoreUnavailable as error:
            if not _is_of_another_type(error.__cause__):
                raise
            value = b""  # an empty record
        record = None if value is None else scripts.record_in(value, self._clock())
        if record is not None and self._compares and record.version:
            record.version = scripts.Seen(value[1:9])
            record.version.value = value
        return record

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        write = scripts.Write(data, expires_at, owner, self._clock())
        member = scripts.key_bytes(key)
        names, listed = self._within_reach(member, write)
        if write.owner == scripts.NOBODY:
            if self._call("execute_command", "SET", names[0], write.value(scripts.NEVER), "PX", write.ttl, "NX"):
                return write.version
        elif not self._index_in_reach:
            listed = self._enter(write.owner, member, write)
        answer = self._run(scripts.CREATE, names, [*write.arguments, listed, member])
        self._ask_once(names[0])
        return write.version if answer == scripts.DONE else None

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        write = scripts.Write(data, expires_at, owner, self._clock())
        member = scripts.key_bytes(key)
        names, listed = self._within_reach(member, write)
        if isinstance(expect, scripts.Seen) and self._is_still(names[0], expect, write):
            return write.version
        answer = self._run(scripts.REPLACE, names, [*write.arguments, listed, member, expect])
        if answer == scripts.UNLISTED:
            listed = self._enter(write.owner, member, write)
            answer = self._run(scripts.REPLACE, names, [*write.arguments, listed, member, expect])
        self._ask_once(names[0])
        return self._outcome(answer, key, write)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        write = scripts.Write(b"", expires_at, None, self._clock())
        owner, listed = scripts.NOBODY, scripts.NEVER
        while True:
            arguments = [write.now, write.expires_at, write.ttl, listed, owner]
            answer = self._run(scripts.TOUCH, [self._name(key)], arguments)
            if not isinstance(answer, bytes):
                return bool(answer == scripts.DONE)
            owner = answer
            listed = self._enter(owner, scripts.key_bytes(key), write)

    def delete(self, key: str, /) -> bool:
        now = scripts.digits(self._clock())
        answer = self._run(scripts.DELETE, [self._name(key)], [now])
        self._leave(answer, key, now)
        return bool(answer != scripts.GONE)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        now = self._clock()
        score, _, member = (after or f"{now} ").partition(" ")
        within_reach = [self._prefix] if self._index_in_reach else []
        arguments = [scripts.digits(now), score, bytes.fromhex(member), limit, *within_reach]
        cursor, *found = self._run(scripts.FIND, [self._index(scripts.owner_field(owner))], arguments)
        # A tombstone stays in: its entry was left by a rotation whose new entry this page may not have.
        items = tuple(item for item in self._found(found) if item[1].owner in (owner, None))
        score, _, member = cursor.partition(b" ")
        return Page(items, f"{score.decode()} {member.hex()}" if cursor else None)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        def read(node: dict[str, Any], cursor: int) -> tuple[int, tuple[tuple[str, Record], ...]]:
            further, names = scan_node(self._call, node, self._prefix, cursor, limit)
            return further, self._records(names)

        return next_page(after, self._nodes, self._layout, read)

    def confirm(self, key: str, /) -> bool:
        replicas, milliseconds = self._wait
        if not replicas:
            return True
        name = self._name(key)
        pipeline = self._call("pipeline", of=self._node_of(name), transaction=False)
        pipeline.eval(scripts.MARK, 1, name)
        pipeline.wait(replicas, milliseconds)
        marked, count = self._call("execute", of=pipeline, raise_on_error=False)
        return not isinstance(marked, Exception) and not isinstance(count, Exception) and count >= replicas

    def now(self) -> int:
        seconds, microseconds = self._call("time", **next(iter(self._nodes().values())))
        return int(seconds) * 1000 + int(microseconds) // 1000

    def ping(self) -> None:
        for node in self._nodes().values():
            self._call("ping", **node)
        self.load(NO_KEY)
        self.delete(NO_KEY)  # writes nothing, and is refused where scripts may not run or write

    def check_health(self) -> list[HealthFinding]:
        found: list[HealthFinding] = []
        for node in self._nodes().values():
            found += about_server(functools.partial(self._call, **node), self._clock)
            _, names = scan_node(self._call, node, self._prefix, 0, SAMPLE)
            found.append(about_expiry(self._call("pttl", name) for name in names))
        return worst_of(found)

    def ask(self, work: Callable[[Any], T], /) -> T:
        """Return the result of *work* with the store's client. It may use other keys."""
        try:
            with self._turns:
                return work(self._client)
        except Exception as error:  # the boundary to drivers of several makers, whose errors share no other class
            raise unavailable(error) from error

    def close(self) -> None:
        if isinstance(self._client, LazyClient):
            self._client.close()

    def _name(self, key: str) -> bytes:
        return self._prefix + scripts.key_bytes(key)

    def _index(self, owner: bytes) -> bytes:
        return self._prefix + scripts.index_of(owner[len(scripts.NOBODY) :])

    def _within_reach(self, member: bytes, write: scripts.Write) -> tuple[list[bytes], bytes]:
        """Return the keys that a script on the record may use, and the time until which the index should list it."""
        names = [self._prefix + member]
        if write.owner == scripts.NOBODY or not self._index_in_reach:
            return names, scripts.NEVER
        return [*names, self._index(write.owner)], write.listed

    def _is_still(self, name: bytes, seen: scripts.Seen, write: scripts.Write) -> bool:
        """Write over the value that was *seen* if it is there: one comparison, where the server has IFEQ."""
        value = write.over(seen.value) if self._compares else None
        return value is not None and self._set_if(name, value, seen.value, write.ttl)

    def _ask_once(self, name: bytes) -> None:
        """Find out whether the server has IFEQ, by a comparison that changes nothing, and warn if it evicts."""
        if self._compares is None:
            self._compares = True
            with suppress(StoreUnavailable):
                self._set_if(name, b"", b"", 1)
                eviction = about_eviction(self._call("info", "memory", of=self._node_of(name)))
                if eviction.ok is False:
                    _logger.warning("Redis: %s: set %s", eviction.found, eviction.fix)

    def _set_if(self, name: bytes, value: bytes, old: bytes, ttl: int) -> bool:
        """Return whether *old* was there, and *value* is. A server without IFEQ refuses that, and is asked no more."""
        try:
            return bool(self._call("execute_command", "SET", name, value, "IFEQ", old, "PX", ttl))
        except StoreUnavailable as error:
            if "syntax error" not in str(error.__cause__):
                raise
        self._compares = False
        return False

    def _enter(self, owner: bytes, member: bytes, write: scripts.Write) -> bytes:
        listed: bytes = self._run(scripts.ENTER, [self._index(owner)], [write.now, member, write.listed])
        return listed

    def _leave(self, answer: Any, key: str, now: bytes) -> None:
        if isinstance(answer, bytes):
            score, owner = answer[: len(scripts.NEVER)], answer[len(scripts.NEVER) :]
            # An extra entry is harmless; the result of the write must be returned.
            with suppress(StoreUnavailable):
                self._run(scripts.LEAVE, [self._index(scripts.NOBODY + owner)], [now, scripts.key_bytes(key), score])

    def _outcome(self, answer: Any, key: str, write: scripts.Write) -> Version | Conflict | Gone:
        if answer == scripts.GONE:
            return Gone()
        if isinstance(answer, list):
            return Conflict(scripts.record_in(answer[0], write.at))
        self._leave(answer, key, write.now)
        return write.version

    def _found(self, found: list[bytes]) -> tuple[tuple[str, Record], ...]:
        return self._records([self._prefix + member for member in found])

    def _is_replicated(self) -> bool:
        return True

    def _nodes(self) -> dict[str, dict[str, Any]]:
        return {node.name: {"target_nodes": node} for node in self._call("get_primaries")}

    def _layout(self) -> str:
        return layout_of(self._call, self._call("get_primaries"), self._connection_of)

    def _connection_of(self, node: Any) -> Any:
        is_valkey = hasattr(self._client, "get_valkey_connection")
        return self._call("get_valkey_connection" if is_valkey else "get_redis_connection", node)

    def _node_of(self, name: bytes) -> Any:
        return self._connection_of(self._call("get_node_from_key", name))

    def _records(self, names: list[bytes]) -> tuple[tuple[str, Record], ...]:
        pipeline = self._call("pipeline", transaction=False)
        for name in names:
            pipeline.get(name)
        values = self._call("execute", of=pipeline, raise_on_error=False) if names else []
        now, items = self._clock(), []
        for name, value in zip(names, values, strict=True):
            if isinstance(value, Exception) and not _is_of_another_type(value):
                raise unavailable(value) from value
            record = None if value is None else scripts.record_in(value if isinstance(value, bytes) else b"", now)
            if record is not None:
                items.append((name[len(self._prefix) :].hex(), record))
        return tuple(items)

    def _run(self, script: scripts.Script, names: list[bytes], arguments: list[Any]) -> Any:
        try:
            return self._call("evalsha", script.sha, len(names), *names, *arguments)
        except StoreUnavailable as error:
            if type(error.__cause__).__name__ != "NoScriptError":
                raise
        return self._call("eval", script.code, len(names), *names, *arguments)

    def _call(self, method: str, *arguments: Any, of: Any = None, again: bool = True, **named: Any) -> Any:
        try:
            with self._turns:
                if time.monotonic() >= self._ask_at:
                    self._follow_primary()
                return getattr(self._client if of is None else of, method)(*arguments, **named)
        except StoreUnavailable:
            raise
        except Exception as error:  # the boundary to drivers of several makers, whose errors share no other class
            if type(error).__name__ == "MasterNotFoundError":
                raise without_primary(error, self._client.connection_pool) from error
            if of is not None or not (again and takes_no_writes(error)):
                raise unavailable(error) from error
        # The name may lead to another server by now, and what was refused is not applied.
        self._drop_connections()
        return self._call(method, *arguments, again=False, **named)

    def _follow_primary(self) -> None:
        """Ask the Sentinels for the primary, once a second: at a planned failover the old one keeps its connections."""
        now = time.monotonic()
        ask = getattr(getattr(self._client, "connection_pool", None), "get_master_address", None)
        self._ask_at = now + _ASK_AGAIN if ask is not None else math.inf
        if ask is not None:
            try:
                ask()  # drops the connections to another one
            except Exception:  # noqa: BLE001  # the same boundary; the primary that is known may still work
                self._ask_at = now + 10 * _ASK_AGAIN

    def _drop_connections(self) -> None:
        if isinstance(self._client, DirectClient):
            self._client.drop_idle()
        pool = getattr(self._client, "connection_pool", None)
        if pool is not None:
            pool.disconnect(inuse_connections=False)


class RedisStore(RedisClusterStore):
    """Keeps records in one Redis or Valkey server, or in the primary of Sentinels, with the index beside them.

    The arguments are those of `RedisClusterStore`; *client* is such as ``redis.Redis``.
    """

    _index_in_reach = True

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        now, removed = scripts.digits(self._clock()), set[str]()
        for some in batches(versions, _DISCARDED):
            names = [self._name(key) for key in some]
            expected = itertools.chain.from_iterable((scripts.key_bytes(key), some[key]) for key in some)
            removed.update(map(bytes.hex, self._run(scripts.DISCARD, names, [now, self._prefix, *expected])))
        return frozenset(removed)

    def move(self, rotation: Rotation, /) -> Version | Conflict | Gone:
        old, new, data, tombstone, expect, expires_at, grace_until, owner = rotation
        write = scripts.Write(data, expires_at, owner, self._clock())
        superseded = scripts.Write(tombstone, grace_until, None, write.at)
        member = scripts.key_bytes(new)
        names, listed = self._within_reach(member, write)
        left = [superseded.head, tombstone, superseded.ttl, scripts.key_bytes(old)]
        arguments = [*write.arguments, listed, member, expect, *left]
        answer = self._run(scripts.MOVE, [self._name(old), *names], arguments)
        return self._outcome(answer, old, write)

    def _found(self, found: list[bytes]) -> tuple[tuple[str, Record], ...]:
        now, pairs = self._clock(), zip(found[::2], found[1::2], strict=True)
        records = ((member.hex(), scripts.record_in(value, now)) for member, value in pairs)
        return tuple((key, record) for key, record in records if record is not None)

    def _nodes(self) -> dict[str, dict[str, Any]]:
        return {"server": {}}

    def _layout(self) -> str:
        return "fixed"

    def _is_replicated(self) -> bool:
        return hasattr(getattr(self._client, "connection_pool", None), "sentinel_manager")

    def _node_of(self, _name: bytes) -> Any:
        return self._client


def _is_of_another_type(error: BaseException | None) -> bool:
    return str(error).startswith("WRONGTYPE")
