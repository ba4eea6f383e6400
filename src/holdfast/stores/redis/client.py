"""Clients of Redis: made from URLs, or checked when they are given."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

from holdfast.errors import ConfigurationError
from holdfast.stores.redis.direct import DirectClient, LazyClient
from holdfast.stores.shared.clients import class_name, keepalive_options, require_methods
from holdfast.stores.shared.options import Converter, flag, host_and_port, one_of, readable_file, seconds, whole

_METHODS = ("get", "evalsha", "eval", "execute_command", "scan", "pipeline", "ping")
_FORMS = (
    "redis://[user:password@]host[:port][/db], unix:///path, redis+sentinel://host[:port],.../service[/db] "
    "or redis+cluster://host[:port],..., with special characters percent-encoded"
)


#: The URL options that configure the client.
OPTIONS: Mapping[str, Converter] = {
    "db": whole(),
    "timeout": seconds,
    "connect_timeout": seconds,
    "sentinel_username": str,
    "sentinel_password": str,
    "max_connections": whole(1),
    "ssl_ca_certs": readable_file,
    "ssl_certfile": readable_file,
    "ssl_keyfile": readable_file,
    "ssl_cert_reqs": one_of("none", "optional", "required"),
    "ssl_check_hostname": flag,
}
#: The most connections to a server of a client that is made from a URL.
_MAX_CONNECTIONS = 50


def check_client(client: Any) -> None:
    """Refuse a client, of any class, that lacks a method, is asynchronous, reads from replicas, or decodes values."""
    require_methods(
        client, _METHODS, kind="Redis", give="one with redis-py's methods, such as redis.Redis or redis.RedisCluster"
    )
    kind = class_name(client)
    if kind.startswith("fakeredis.") and importlib.util.find_spec("lupa") is None:
        raise ConfigurationError(f"{kind} runs no scripts without lupa: pip install 'fakeredis[lua]'")
    if any(getattr(client, name, None) for name in ("read_from_replicas", "load_balancing_strategy")):
        raise ConfigurationError(
            f"{kind} reads from replicas, where an ended session may still be: disable reads from replicas"
        )
    encoder = getattr(client, "get_encoder", None)
    if callable(encoder) and getattr(encoder(), "decode_responses", None) is True:
        raise ConfigurationError(
            f"{kind} has decode_responses=True, and records are bytes: make the client for sessions without it"
        )


# The maximum number of hosts in the URL, and of parts in its path.
_PARTS: Mapping[str, tuple[range, range]] = {
    "": (range(1, 2), range(2)),
    "unix": (range(1), range(1, 100)),
    "sentinel": (range(1, 100), range(1, 3)),
    "cluster": (range(1, 1000), range(1)),
}


class _Address(NamedTuple):
    kind: str
    secure: bool
    login: dict[str, str]
    hosts: list[tuple[str, int]]
    path: list[str]


def client_from_url(url: str, options: Mapping[str, Any]) -> LazyClient:
    """Return a client of the server at *url*, or of the current primary of its Sentinels or its Cluster.

    It connects on first use, has short timeouts, and does not retry.
    """
    redis: Any = importlib.import_module("redis")
    address = _parse(url)
    settings = _settings(address, options)
    if address.kind == "cluster":
        nodes = [redis.cluster.ClusterNode(host, port) for host, port in address.hosts]
        # Without full coverage, the loss of one part of a Cluster does not affect the other parts.
        return LazyClient(redis.RedisCluster, {"startup_nodes": nodes, "require_full_coverage": False, **settings})
    if address.kind == "unix":
        settings |= {"unix_socket_path": "/" + "/".join(address.path), "db": options.get("db", 0)}
        return DirectClient(redis.Redis, settings)
    if address.kind == "sentinel":
        guards = {name: value for name, value in settings.items() if name not in {"username", "password"}}
        guards |= {name.removeprefix("sentinel_"): options[name] for name in options if name.startswith("sentinel_")}
        settings["db"] = _database(address.path[1:], options)
        sentinel = redis.Sentinel(address.hosts, sentinel_kwargs=guards)
        return LazyClient(functools.partial(sentinel.master_for, address.path[0]), settings)
    settings |= {"host": address.hosts[0][0], "port": address.hosts[0][1], "db": _database(address.path, options)}
    return DirectClient(redis.Redis, settings)


def _settings(address: _Address, options: Mapping[str, Any]) -> dict[str, Any]:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # A deletion whose answer was lost would return False when repeated, although it had deleted the record.
    settings: dict[str, Any] = {**address.login, "retry": Retry(NoBackoff(), 0)}
    # A call that fails in a Cluster asks every node for the new layout, and waits for each.
    patience = 0.5 if address.kind == "cluster" else 1.0
    settings["max_connections"] = options.get("max_connections", _MAX_CONNECTIONS)
    settings["socket_timeout"] = options.get("timeout", 2 * patience)
    if address.kind != "unix":
        settings["socket_connect_timeout"] = options.get("connect_timeout", patience)
        settings |= {"socket_keepalive": True, "socket_keepalive_options": keepalive_options()}
    certificates = {name: value for name, value in options.items() if name.startswith("ssl_")}
    if address.secure:
        return {**settings, "ssl": True, **certificates}
    if certificates:
        raise ConfigurationError(f"the option {min(certificates)} needs a URL that begins with rediss")
    return settings


def _parse(url: str) -> _Address:
    scheme, _, rest = url.partition("://")
    name, _, kind = scheme.lower().partition("+")
    server, slash, path = rest.partition("/")
    login, _, hosts = server.rpartition("@")
    user, _, password = login.partition(":")
    credentials = {"username": unquote(user), "password": unquote(password)}
    default_port = 26379 if kind == "sentinel" else 6379
    address = _Address(
        "unix" if name == "unix" else kind,
        name in {"rediss", "valkeys"},
        {name: text for name, text in credentials.items() if text},
        [_host(text, default_port) for text in hosts.split(",") if text],
        [unquote(part) for part in path.split("/")] if slash and path else [],
    )
    hosts_allowed, parts_allowed = _PARTS.get(address.kind, ((), ()))
    if len(address.hosts) not in hosts_allowed or len(address.path) not in parts_allowed:
        raise ConfigurationError(f"the {scheme} URL is malformed: write {_FORMS}")
    return address


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        host, port = host_and_port(text, default_port)
    except ValueError as error:
        raise ConfigurationError(f"{error} in the Redis URL: write {_FORMS}") from None
    return host.strip("[]"), port


def _database(path: list[str], options: Mapping[str, Any]) -> int:
    if not path:
        return int(options.get("db", 0))
    with suppress(ValueError):
        if "db" not in options:
            return int(whole()(path[0]))
    raise ConfigurationError("a Redis database is one number: write it after the last slash of the URL, as in /0")
