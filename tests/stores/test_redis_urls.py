"""URLs of Redis: the meaning of each. No server is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import ConfigurationError
from holdfast.stores.redis import RedisClusterStore, RedisStore
from holdfast.stores.registry import open_store
from holdfast.stores.shared.clients import keepalive_options

SECRET = "tell:no/one@all"
QUOTED = "tell%3Ano%2Fone%40all"


def opened(url: str) -> Any:
    """Return the store at *url*, to look inside."""
    return open_store(url, root=Path())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", {"host": "h", "port": 6379, "db": 0, "socket_timeout": 2, "socket_connect_timeout": 1}),
        ("redis://h:1/3", {"host": "h", "port": 1, "db": 3}),
        ("redis://h?db=5&timeout=0.5&connect_timeout=0.2", {"db": 5, "socket_timeout": 0.5}),
        (f"redis://ada:{QUOTED}@h", {"username": "ada", "password": SECRET}),
        ("valkey://:word@h", {"username": None, "password": "word"}),
        (f"rediss://[::1]:7?ssl_ca_certs={__file__}", {"host": "::1", "port": 7, "ssl_ca_certs": __file__}),
        (
            "rediss://h?ssl_cert_reqs=none&ssl_check_hostname=0",
            {"ssl_cert_reqs": "none", "ssl_check_hostname": False},
        ),
        ("redis://h", {"socket_keepalive": True, "socket_keepalive_options": keepalive_options()}),
        ("valkeys://h/1", {"host": "h", "db": 1, "ssl_certfile": None}),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2}),
        ("unix://:word@/run/my%20redis.sock", {"path": "/run/my redis.sock", "password": "word"}),
        (f"redis+sentinel://ada:{QUOTED}@a,b:2/name/4", {"username": "ada", "password": SECRET, "db": 4}),
    ],
)
def test_a_url_says_how_to_connect(url: str, expected: dict[str, Any]) -> None:
    """Host, port, socket, database, login, certificates and timeouts come from the URL; connecting is for later."""
    store = opened(url)
    assert type(store) is RedisStore
    settings = store._client.connection_pool.connection_kwargs
    assert {name: settings.get(name) for name in expected} == expected
    assert settings["retry"].get_retries() == 0


@pytest.mark.parametrize("url", ["redis://h", "rediss://h", "unix:///run/redis.sock", "redis+sentinel://h/name"])
def test_a_url_bounds_the_connections(url: str) -> None:
    """There are at most 50, or as many as the URL says."""
    for option, limit in (("", 50), ("?max_connections=7", 7)):
        assert opened(url + option)._client.connection_pool.max_connections == limit


def test_sentinels_are_asked_with_their_own_login() -> None:
    """The hosts are the Sentinels, on their own port by default, and the server's password is not for them."""
    pool = opened("redis+sentinel://:word@a,b:2/name?sentinel_username=eve&sentinel_password=s")._client.connection_pool
    assert pool.service_name == "name"
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == [("a", 26379), ("b", 2)]
    assert {(each["username"], each["password"]) for each in asked} == {("eve", "s")}
    assert pool.connection_kwargs["password"] == "word"


@pytest.mark.parametrize(
    ("url", "replicas"),
    [
        ("redis://h", 0),
        ("redis://h?wait_replicas=2", 2),
        ("redis+sentinel://h/name", 1),
        ("redis+cluster://h", 1),
        ("rediss+cluster://h?wait_replicas=0", 0),
    ],
)
def test_what_has_replicas_waits_for_one_to_confirm(url: str, replicas: int) -> None:
    """With Sentinels and in a Cluster a confirmation needs one replica, elsewhere none, unless the URL says so."""
    assert opened(url)._wait == (replicas, 500)


def test_a_cluster_is_not_asked_before_it_is_used() -> None:
    """A Cluster that is down does not keep an application from starting."""
    store = opened("redis+cluster://ada:word@127.0.0.1:1,127.0.0.1:2?prefix=shop:")
    assert type(store) is RedisClusterStore
    assert store._prefix == b"shop:"
    assert not hasattr(store, "move")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://", "URL is malformed: write"),
        ("redis://a,b", "URL is malformed: write"),
        ("redis://h/1/2", "URL is malformed: write"),
        ("unix://h", "URL is malformed: write"),
        ("redis+sentinel://h", "URL is malformed: write"),
        ("redis+cluster://h/1", "URL is malformed: write"),
        ("redis+else://h", "URL is malformed: write"),
        ("redis://h:x", "a host or a port"),
        (f"redis://:{SECRET}@h", "a host or a port .* special characters percent-encoded"),
        ("redis://h:99999", "a host or a port"),
        ("redis://h/x", "database is one number"),
        ("redis://h/2147483648", "database is one number"),
        ("redis://h/1?db=2", "database is one number"),
        (f"redis://h?ssl_ca_certs={__file__}", "ssl_ca_certs needs a URL that begins with rediss"),
        ("redis://h?timeout=0", "timeout='0' is not valid: it must be seconds, more than 0 and at most 3600"),
        ("redis://h?timeout=inf", "timeout='inf' is not valid"),
        ("redis://h?wait_replicas=-1", "wait_replicas='-1' is not valid: it must be a whole number from 0 to"),
        ("redis://h?tiemout=1", "no option 'tiemout', did you mean 'timeout'"),
    ],
)
def test_a_url_that_is_wrong_is_explained(url: str, problem: str) -> None:
    """The error says what is wrong and how to write it, without what may be a secret."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        opened(url)
    assert "one@all" not in str(caught.value)
