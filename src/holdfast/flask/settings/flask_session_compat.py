"""Flask-Session's settings, with Flask-Session's defaults, as Holdfast's stores. The one place that knows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError
from holdfast.flask.databases import has_engines, store_at_uri, store_on_db
from holdfast.stores.contract import Store
from holdfast.stores.registry import open_store

_logger = logging.getLogger("holdfast")

#: The settings that are translated here, or that have nothing left to say: tokens are always 32 bytes, and expired
#: records are removed without ``SESSION_CLEANUP_N_REQUESTS``, and no row takes a number from a sequence.
SETTINGS = {
    "SESSION_TYPE",
    "SESSION_ID_LENGTH",
    "SESSION_CLEANUP_N_REQUESTS",
    "SESSION_FILE_DIR",
    "SESSION_FILE_MODE",
    "SESSION_FILE_PATH",
    "SESSION_FILE_THRESHOLD",
    "SESSION_MEMCACHED",
    "SESSION_MONGODB",
    "SESSION_MONGODB_COLLECT",
    "SESSION_MONGODB_DB",
    "SESSION_REDIS",
    "SESSION_SQLALCHEMY",
    "SESSION_SQLALCHEMY_BIND_KEY",
    "SESSION_SQLALCHEMY_SCHEMA",
    "SESSION_SQLALCHEMY_SEQUENCE",
    "SESSION_SQLALCHEMY_TABLE",
}

#: Those of them that mean nothing without ``SESSION_TYPE``.
STORE_SETTINGS = SETTINGS - {"SESSION_TYPE", "SESSION_ID_LENGTH", "SESSION_CLEANUP_N_REQUESTS"}


def defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that differ where ``SESSION_TYPE`` is used, as Flask-Session's users are used to."""
    kind = config.get("SESSION_TYPE")
    if kind in (None, "null"):
        return {}
    changed: dict[str, Any] = {"SESSION_PERMANENT": True}
    if kind == "file":
        changed["SESSION_SERIALIZATION_FORMAT"] = "json"
    return changed


def build_store(app: Flask, clock: Clock) -> Store | None:
    """Return the store that ``SESSION_TYPE`` stands for; None for ``"null"``, Flask's own signed cookie.

    Raises:
        ConfigurationError: There is no such type, or one of its settings is wrong.
    """
    kind = app.config["SESSION_TYPE"]
    builder = _BUILDERS.get(kind)
    if builder is None:
        names = ", ".join(map(repr, _BUILDERS))
        raise ConfigurationError(f"SESSION_TYPE is {kind!r}: it must be one of {names}; or set SESSION_STORE to a URL")
    return builder(app, clock)


def _null(_app: Flask, _clock: Clock) -> None:
    _logger.warning(
        "SESSION_TYPE is 'null': sessions live in Flask's signed cookie, and a logout does not end the copies of one."
        " Set SESSION_STORE to keep sessions where they can be ended."
    )


def _filesystem(app: Flask, clock: Clock) -> Store:
    from holdfast.stores.files import FileStore

    directory = app.config.get("SESSION_FILE_DIR") or Path.cwd() / "flask_session"
    return FileStore(
        Path(directory),
        mode=_number(app, "SESSION_FILE_MODE", 0o600),
        threshold=_number(app, "SESSION_FILE_THRESHOLD", 500),
        clock=clock,
    )


def _json_file(app: Flask, clock: Clock) -> Store:
    from holdfast.stores.jsonfile import JSONFileStore

    path = app.config.get("SESSION_FILE_PATH") or app.config.get("MY_SESSION_PATH")
    if not isinstance(path, str | Path) or not str(path).strip("/\\"):
        raise ConfigurationError(f"SESSION_FILE_PATH is {path!r}: SESSION_TYPE 'file' needs the path of its JSON file")
    if "\\" in str(path):  # written on Windows, where a path such as '\\session.json' is not absolute
        path = str(path).replace("\\", "/").lstrip("/")
    return JSONFileStore(Path(app.instance_path, path), clock=clock)


def _redis(app: Flask, clock: Clock) -> Store:
    client = app.config.get("SESSION_REDIS")
    if client is None:
        return open_store("redis://127.0.0.1:6379", root=Path(app.instance_path), clock=clock)
    from holdfast.stores.redis import RedisStore

    return _on_client("SESSION_REDIS", RedisStore.from_client, client, clock=clock)


def _memcached(app: Flask, clock: Clock) -> Store:
    client = app.config.get("SESSION_MEMCACHED")
    if client is None:
        return open_store("memcached://127.0.0.1:11211", root=Path(app.instance_path), clock=clock)
    from holdfast.stores.memcached import MemcachedStore

    return _on_client("SESSION_MEMCACHED", MemcachedStore.from_client, client, clock=clock)


def _mongodb(app: Flask, clock: Clock) -> Store:
    client = app.config.get("SESSION_MONGODB")
    database = _text(app, "SESSION_MONGODB_DB", "flask_session")
    collection = _text(app, "SESSION_MONGODB_COLLECT", "sessions")
    if client is None:
        url = f"mongodb://localhost:27017/{quote(database, safe='')}.{quote(collection, safe='')}"
        return open_store(url, root=Path(app.instance_path), clock=clock)
    from holdfast.stores.mongodb import MongoDBStore

    return _on_client(
        "SESSION_MONGODB", MongoDBStore.from_client, client, database=database, collection=collection, clock=clock
    )


def _on_client(setting: str, make: Callable[..., Store], client: Any, *, hint: str = "", **options: Any) -> Store:
    try:
        return make(client, **options)
    except ConfigurationError as error:
        raise ConfigurationError(f"{setting}: {error}{hint}") from None


def _text(app: Flask, name: str, default: str) -> str:
    value = app.config.get(name) or default
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is {value!r}: it must be text")
    return value


def _sqlalchemy(app: Flask, clock: Clock) -> Store:
    client = app.config.get("SESSION_SQLALCHEMY")
    options: dict[str, Any] = {
        "table": _name(app, "SESSION_SQLALCHEMY_TABLE") or "sessions",
        "schema": _name(app, "SESSION_SQLALCHEMY_SCHEMA"),
        "clock": clock,
    }
    bind_key = _name(app, "SESSION_SQLALCHEMY_BIND_KEY")
    if client is None:
        return store_at_uri(app, bind_key=bind_key, **options)
    if has_engines(client):
        return store_on_db(app, client, bind_key=bind_key, **options)
    from holdfast.stores.sql import SQLStore

    return _on_client("SESSION_SQLALCHEMY", SQLStore.from_client, client, hint="; or Flask-SQLAlchemy's db", **options)


def _name(app: Flask, setting: str) -> str | None:
    value = app.config.get(setting)
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{setting} is {value!r}: it must be a name")
    return value


def _number(app: Flask, name: str, default: int) -> int:
    value = app.config.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{name} is {value!r}: it must be a whole number, 0 or greater")
    return value


_BUILDERS: dict[str, Callable[[Flask, Clock], Store | None]] = {
    "null": _null,
    "filesystem": _filesystem,
    "file": _json_file,
    "redis": _redis,
    "sqlalchemy": _sqlalchemy,
    "memcached": _memcached,
    "mongodb": _mongodb,
}
