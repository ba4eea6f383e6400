"""The settings of Flask-Session for each of its places, given where the servers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Returns new settings, given the address of the server, the URL of the database or the folder.
Settings = Callable[[Any], dict[str, Any]]


def _redis(address: Any) -> dict[str, Any]:
    import redis

    return {"SESSION_TYPE": "redis", "SESSION_REDIS": redis.Redis(*address)}


def _memcached(address: Any) -> dict[str, Any]:
    import pymemcache

    return {"SESSION_TYPE": "memcached", "SESSION_MEMCACHED": pymemcache.PooledClient(tuple(address))}


def _mongodb(address: Any) -> dict[str, Any]:
    import pymongo

    return {"SESSION_TYPE": "mongodb", "SESSION_MONGODB": pymongo.MongoClient(*address)}


def _dynamodb(address: Any) -> dict[str, Any]:
    import boto3

    keys = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy", "region_name": "eu-central-1"}
    resource = boto3.resource("dynamodb", endpoint_url="http://{}:{}".format(*address), **keys)
    return {"SESSION_TYPE": "dynamodb", "SESSION_DYNAMODB": resource}


def _sqlalchemy(url: Any) -> dict[str, Any]:
    from flask_sqlalchemy import SQLAlchemy

    db = SQLAlchemy()
    config = {"SESSION_TYPE": "sqlalchemy", "SESSION_SQLALCHEMY": db, "db": db.init_app}
    return {**config, "SQLALCHEMY_DATABASE_URI": url}


def _filesystem(folder: Any) -> dict[str, Any]:
    return {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": f"{folder}/files"}


def _cachelib(folder: Any) -> dict[str, Any]:
    from cachelib import FileSystemCache

    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": FileSystemCache(f"{folder}/cache")}


def _cachelib_redis(address: Any) -> dict[str, Any]:
    from cachelib import RedisCache

    client = _redis(address)["SESSION_REDIS"]
    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": RedisCache(client, key_prefix="cache:")}


#: By the name of the kind: its settings, and what they need.
KINDS: Mapping[str, tuple[Settings, str]] = {
    "redis": (_redis, "redis"),
    "memcached": (_memcached, "memcached"),
    "filesystem": (_filesystem, "folder"),
    "mongodb": (_mongodb, "mongodb"),
    "dynamodb": (_dynamodb, "dynamodb"),
    "sqlite": (_sqlalchemy, "sqlite"),
    "postgresql": (_sqlalchemy, "postgresql"),
    "mariadb": (_sqlalchemy, "mariadb"),
    "cachelib": (_cachelib, "folder"),
    "cachelib_redis": (_cachelib_redis, "redis"),
}


def clients_in(config: Mapping[str, Any]) -> list[Any]:
    """Return the clients in *config* that have to be closed."""
    cache = config.get("SESSION_CACHELIB")
    found = [config.get(name) for name in ("SESSION_REDIS", "SESSION_MEMCACHED", "SESSION_MONGODB")]
    resource = config.get("SESSION_DYNAMODB")
    found += [getattr(cache, "_write_client", None), None if resource is None else resource.meta.client]
    return [client for client in found if client is not None]
