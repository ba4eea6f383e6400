"""The clients that the Redis store accepts, from any library."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import valkey
from support.capabilities import keys_of
from support.keyspace import Wrapped, counted, prefix_of, scanned
from support.pages import blocks
from support.servers import Server, start_cluster
from support.web import Web, end

from holdfast.clock import system_clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.records.record import Conflict
from holdfast.stores.redis import RedisStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

pytestmark = pytest.mark.redis

SENTINEL: Any = redis.Sentinel
VALKEY: Any = valkey.Valkey
KEY = "ab" * 32
HOUR = 3_600_000


@pytest.mark.parametrize("kind", ["redis", "resp2", "valkey", "wrapped"])
def test_any_client_with_the_methods_will_do(redis_server: Server, tmp_path: Path, kind: str) -> None:
    """Clients of redis-py and valkey-py, in both protocols, and wrapped ones work alike."""
    library = VALKEY if kind == "valkey" else redis.Redis
    client = library.from_url(redis_server.url, protocol=2 if kind == "resp2" else 3)
    if kind == "wrapped":
        client = Wrapped(client)
    clock = FakeClock()
    store = RedisStore(client, prefix=prefix_of(tmp_path), clock=clock)
    version = store.create(KEY, b"data", expires_at=clock() + HOUR, owner="ada")
    assert version is not None
    assert isinstance(store.replace(KEY, b"new", expect=b"other", expires_at=clock() + HOUR), Conflict)
    newer = store.replace(KEY, b"new", expect=version, expires_at=clock() + HOUR, owner="ada")
    record = store.load(KEY)
    assert record is not None
    assert (record.data, record.version, record.owner) == (b"new", newer, "ada")
    assert keys_of(store, "ada") == [KEY]
    assert scanned(store) == {KEY: record}
    assert store.touch(KEY, expires_at=clock() + 9 * HOUR) is True
    assert store.confirm(KEY) is True
    assert store.delete(KEY) is True
    store.ping()
    store.close()
    assert client.ping(), "a client that was given is not closed"
    client.close()


class WithoutScripts(redis.Redis):
    """A stand-in for a client of fakeredis, which runs scripts only where lupa is installed."""


WithoutScripts.__module__ = "fakeredis._clients"


@pytest.mark.skipif(find_spec("lupa") is not None, reason="lupa is installed")
def test_a_client_that_runs_no_scripts_is_refused() -> None:
    """It could never work, so it is an error at start that names its class and the fix."""
    with pytest.raises(
        ConfigurationError, match=r"fakeredis\._clients\.WithoutScripts runs no scripts .*fakeredis\[lua\]"
    ):
        RedisStore(WithoutScripts())


class ReadingReplicas(redis.Redis):
    """A client that says what a client of a Cluster says when it reads from replicas."""

    read_from_replicas = True


@pytest.mark.parametrize(
    ("client", "problem"),
    [
        (object(), r"builtins.object is no Redis client, it has no get and no evalsha and no eval and no execute"),
        ("redis://127.0.0.1", r"builtins.str is no Redis client"),
        (SENTINEL([("127.0.0.1", 1)]), r"redis.sentinel.Sentinel is no Redis client"),
        (ReadingReplicas(), r"test_redis_clients.ReadingReplicas reads from replicas"),
        (redis.asyncio.Redis(), r"redis.asyncio.client.Redis is asynchronous"),
        (redis.Redis(decode_responses=True), r"redis.client.Redis has decode_responses=True"),
        (VALKEY(decode_responses=True), r"valkey.client.Valkey has decode_responses=True"),
    ],
    ids=["object", "text", "sentinel", "replicas", "asyncio", "decoding", "decoding valkey"],
)
def test_what_is_no_client_is_refused_by_its_class(client: Any, problem: str) -> None:
    """An unusable client is an error at start-up that names its class; no other is used instead."""
    with pytest.raises(ConfigurationError, match=problem):
        RedisStore.from_client(client)


def test_the_setting_of_flask_session_is_a_client(redis_server: Server) -> None:
    """`SESSION_TYPE` redis with a client in `SESSION_REDIS` keeps sessions there."""
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        web = Web(SESSION_STORE=None, SESSION_TYPE="redis", SESSION_REDIS=client, SESSION_KEY_PREFIX="redis:")
        web.put(cart=[1])
        with counted(client) as counts:
            assert web.data() == {"cart": [1]}
        assert counts == {"get": 1}
        web.do(end)


def test_without_a_client_the_default_of_flask_session_is_used() -> None:
    """`SESSION_TYPE` redis alone means the server on 127.0.0.1:6379, asked with short timeouts."""
    store: Any = Web(SESSION_STORE=None, SESSION_TYPE="redis").app.extensions["holdfast"].manager.store
    settings = store._client.connection_pool.connection_kwargs
    assert (settings["host"], settings["port"], settings["db"]) == ("127.0.0.1", 6379, 0)
    assert (settings["socket_connect_timeout"], settings["socket_timeout"]) == (1, 2)


def test_the_setting_is_named_when_it_is_no_client() -> None:
    """An unusable value of `SESSION_REDIS` is an error at start-up, never replaced by the default."""
    with pytest.raises(ConfigurationError, match=r"SESSION_REDIS: builtins.dict is no Redis client"):
        Web(SESSION_STORE=None, SESSION_TYPE="redis", SESSION_REDIS={})


def test_the_example_in_the_docs_works(redis_server: Server, tmp_path: Path) -> None:
    """The program of the page about Redis signs in, and ends all sessions of the user."""
    program = next(
        block for block in blocks("docs/reference/backends/redis.md", "python") if "Flask(__name__)" in block
    )
    url = f"{redis_server.url}?prefix={prefix_of(tmp_path)}"
    assert "redis://127.0.0.1:6379/0" in program
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(program.replace("redis://127.0.0.1:6379/0", url), namespace)  # noqa: S102  # the page's own program
    browsers = [namespace["app"].test_client() for _ in range(2)]
    assert [browser.post("/login").text for browser in browsers] == ["welcome", "welcome"]
    assert browsers[0].post("/end-all").text == "2"
    assert browsers[1].post("/end-all").text == "0"


def test_the_command_in_the_docs_finds_a_session(
    redis_server: Server, tmp_path: Path, require: Callable[[str], str]
) -> None:
    """The page's line for ``redis-cli`` prints how long the session with the handle has, in milliseconds."""
    [block] = [block for block in blocks("docs/reference/backends/redis.md", "console") if "redis-cli" in block]
    command = block.removeprefix("$ redis-cli ").replace("holdfast:", prefix_of(tmp_path))
    socket = redis_server.url.removeprefix("unix://")
    store: Any = open_store(f"{redis_server.url}?prefix={prefix_of(tmp_path)}")
    with closing(store):
        store.create(KEY, b"data", expires_at=system_clock() + 600_000)
        done = subprocess.run(
            ["bash", "-c", f"{require('xxd') and require('redis-cli')} -s {socket} {command}"],
            env={**os.environ, "HANDLE": KEY},
            capture_output=True,
            text=True,
            check=True,
        )
    assert 0 < int(done.stdout) <= 900_000 + 600_000


def test_a_cluster_of_one_part_is_named(tmp_path: Path) -> None:
    """Its one server answers until a call needs two keys, or a database's number: the error names the URL to write."""
    group, far = start_cluster(primaries=1), 4_000_000_000_000
    store: Any
    try:
        for number in (0, 1):
            url = f"redis://127.0.0.1:{group.nodes[0].address[1]}/{number}"
            with closing(RedisStore.from_url(url)) as store:
                for _ in range(2):
                    with pytest.raises(StoreUnavailable, match=r"one of a Cluster: write redis\+cluster://"):
                        store.create(KEY, b"data", expires_at=far, owner="ada")
        with closing(open_store(group.url, root=tmp_path)) as store:  # type: ignore[type-var]
            assert store.create(KEY, b"data", expires_at=far, owner="ada") is not None
    finally:
        group.stop()
