"""Flask-Session's settings, with Flask-Session's defaults, translated. The only module that knows them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from holdfast.errors import ConfigurationError
from holdfast.flask.settings import setting
from holdfast.flask.settings.setting import InvalidValue, Setting


class StoreChoice(NamedTuple):
    """A store that settings of Flask-Session name.

    Attributes:
        setting: The setting that names it, for messages.
        url: Its URL, or None.
        client: The ready client, if there is no URL.
        store_class: For a client, or a URL with options: the module in `holdfast.stores` and the class.
        bind_key: The engine of a client that is Flask-SQLAlchemy's ``db``.
        options: Further arguments for the store.
        hint: The end of an error about the client: another kind of client that is accepted.
    """

    setting: str
    url: Any = None
    client: Any = None
    store_class: str = ""
    bind_key: str | None = None
    options: Mapping[str, Any] = {}
    hint: str = ""


class StoreType(NamedTuple):
    """One value of ``SESSION_TYPE``.

    Attributes:
        choose: Returns the store by the configuration; None for Flask's own signed cookie.
        settings: The settings of this type.
        doc: The store, in Markdown.
    """

    choose: Callable[[Mapping[str, Any]], StoreChoice | None]
    settings: tuple[Setting, ...]
    doc: str


def _json_path(value: Any) -> str:
    if not isinstance(value, str | Path) or not str(value).strip("/\\"):
        raise InvalidValue("SESSION_TYPE 'file' needs the path of its JSON file")
    path = str(value)
    # Written on Windows, where a path such as '\session.json' is not absolute.
    return path.replace("\\", "/").lstrip("/") if "\\" in path else path


def _folder(value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise InvalidValue("it must be a path")
    return Path(value or "flask_session").absolute()


def _client(value: Any) -> Any:
    if isinstance(value, str):
        raise InvalidValue("is text: it must be a client. To give a URL, set SESSION_STORE instead of SESSION_TYPE")
    return value


_mode = setting.checked(
    lambda value: type(value) is int and 0 <= value <= 0o777 and value & 0o602 == 0o600,
    "octal, such as 0o600: with 6 for the owner, and no right to write for others",
)

#: The choice of the store, by name.
TYPE = Setting("SESSION_TYPE", setting.anything, to="session_type")
_FILE_DIR = Setting("SESSION_FILE_DIR", _folder, "flask_session", doc="(`./flask_session`)")
_FILE_MODE = Setting("SESSION_FILE_MODE", _mode, 0o600, doc="(`0o600`)")
_FILE_PATH = Setting("SESSION_FILE_PATH", _json_path, doc="or `MY_SESSION_PATH`")
_REDIS = Setting("SESSION_REDIS", _client, secret=True, doc="a client (127.0.0.1:6379)")
_MEMCACHED = Setting("SESSION_MEMCACHED", _client, secret=True, doc="a client (127.0.0.1:11211)")
_MONGODB = Setting("SESSION_MONGODB", _client, secret=True, doc="a client (localhost:27017)")
_MONGODB_DB = Setting("SESSION_MONGODB_DB", setting.name, "flask_session", doc="(`flask_session`)")
_MONGODB_COLLECT = Setting("SESSION_MONGODB_COLLECT", setting.name, "holdfast_sessions", doc="(`holdfast_sessions`)")
_SQLALCHEMY = Setting(
    "SESSION_SQLALCHEMY", _client, secret=True, doc="a `db` or an engine (one at `SQLALCHEMY_DATABASE_URI`)"
)
_TABLE = Setting("SESSION_SQLALCHEMY_TABLE", setting.name, "holdfast_sessions", doc="(`holdfast_sessions`)")
_SCHEMA = Setting("SESSION_SQLALCHEMY_SCHEMA", setting.name)
_BIND_KEY = Setting("SESSION_SQLALCHEMY_BIND_KEY", setting.name)
_POSTGRESQL = Setting("SESSION_POSTGRESQL", _client, secret=True, doc="a `db` or an engine (one at localhost:5432)")
_POSTGRESQL_TABLE = Setting("SESSION_POSTGRESQL_TABLE", setting.name, "holdfast_sessions", doc="(`holdfast_sessions`)")
_POSTGRESQL_SCHEMA = Setting("SESSION_POSTGRESQL_SCHEMA", setting.name, "public", doc="(`public`)")
_CACHELIB = Setting("SESSION_CACHELIB", _client, secret=True, doc="a cache of cachelib (`./flask_session`)")
_KEY_PREFIX = Setting("SESSION_KEY_PREFIX", setting.text, "session:")

_DYNAMODB = Setting("SESSION_DYNAMODB", _client, secret=True, doc="a resource or a client (localhost:8000)")
_DYNAMODB_REGION = Setting("SESSION_DYNAMODB_REGION", setting.name)
_DYNAMODB_ENDPOINT = Setting("SESSION_DYNAMODB_ENDPOINT_URL", setting.name)
_DYNAMODB_TABLE = Setting("SESSION_DYNAMODB_TABLE_NAME", setting.name, "holdfast_sessions", doc="(`holdfast_sessions`)")
_DYNAMODB_BEFORE = Setting("SESSION_DYNAMODB_TABLE", setting.name, doc="Flask-Session's own (`Sessions`)")

_REDIS_STORE, _MEMCACHED_STORE = "redis:RedisStore", "memcached:MemcachedStore"
_MONGODB_STORE, _SQL_STORE = "mongodb:MongoDBStore", "sql:SQLStore"


def _files(config: Mapping[str, Any]) -> StoreChoice:
    return _in_folder("SESSION_FILE_DIR", _FILE_DIR.read(config), f"?mode={_FILE_MODE.read(config):o}")


def _in_folder(name: str, folder: Path, options: str) -> StoreChoice:
    from holdfast.imports.finders import OUR_FOLDER

    return StoreChoice(name, f"file:///{quote(str(folder / OUR_FOLDER))}{options}")


def _json_file(config: Mapping[str, Any]) -> StoreChoice:
    path = config.get("SESSION_FILE_PATH") or config.get("MY_SESSION_PATH") or ""
    return StoreChoice("SESSION_FILE_PATH", f"json:///{quote(_FILE_PATH.read({'SESSION_FILE_PATH': path}))}")


def _with_prefix(given: Setting, store_class: str, url: str, config: Mapping[str, Any]) -> StoreChoice:
    prefix = _KEY_PREFIX.read(config)
    return _on_client(given, config, store_class, f"{url}?prefix={quote(prefix, safe='')}", prefix=prefix)


def _dynamodb(config: Mapping[str, Any]) -> StoreChoice:
    region, endpoint = _DYNAMODB_REGION.read(config), _DYNAMODB_ENDPOINT.read(config)
    if region is None and endpoint is None:
        region, endpoint = "us-west-2", "http://localhost:8000"
    given = {"region": region, "endpoint": endpoint, "table": _DYNAMODB_TABLE.read(config)}
    url = "dynamodb://?" + urlencode({name: value for name, value in given.items() if value is not None})
    return _on_client(_DYNAMODB, config, "dynamodb:DynamoDBStore", url, table=given["table"])


def _postgresql(config: Mapping[str, Any]) -> StoreChoice:
    options = {"table": _POSTGRESQL_TABLE.read(config), "schema": _POSTGRESQL_SCHEMA.read(config)}
    client = _POSTGRESQL.read(config)
    url = None if client is not None else "postgresql+psycopg://localhost:5432"
    return StoreChoice(_POSTGRESQL.name, url, client, _SQL_STORE, options=options, hint="; or Flask-SQLAlchemy's db")


def _cachelib(config: Mapping[str, Any]) -> StoreChoice:
    """Return the store where a cache of cachelib keeps its values, by the class of the cache."""
    cache = _CACHELIB.read(config)
    kinds = {kind.__name__ for kind in type(cache).__mro__}
    if cache is None:
        return _in_folder(_CACHELIB.name, _folder("flask_session"), "")
    if "FileSystemCache" in kinds:
        mode = "" if cache._mode is None else f"?mode={cache._mode:o}"  # noqa: SLF001  # cachelib has no other name
        return _in_folder(_CACHELIB.name, _folder(cache._path), mode)  # noqa: SLF001
    if kinds & {"RedisCache", "ValkeyCache"}:
        found, store_class = cache._write_client, _REDIS_STORE  # noqa: SLF001
    elif "MemcachedCache" in kinds:
        # From cachelib 0.15 on, a cache of servers may have a pool of clients.
        lend = getattr(cache, "_client_context", lambda: nullcontext(cache._client))  # noqa: SLF001
        with lend() as found:
            store_class = _MEMCACHED_STORE
    elif "MongoDbCache" in kinds:
        database = cache.client.database
        names = {"database": database.name, "collection": _MONGODB_COLLECT.default}
        return StoreChoice(_CACHELIB.name, client=database.client, store_class=_MONGODB_STORE, options=names)
    else:
        raise ConfigurationError(
            f"SESSION_CACHELIB is a {type(cache).__name__}, which Holdfast has no store for: set SESSION_STORE instead "
            "of SESSION_TYPE, such as to 'sqlite:///sessions.db', or to 'memory://' for tests"
        )
    return StoreChoice(_CACHELIB.name, client=found, store_class=store_class, options={"prefix": old_prefix(config)})


def _cache(config: Mapping[str, Any]) -> Any:
    return _CACHELIB.read(config) if config.get("SESSION_TYPE") == "cachelib" else None


def old_file_of(config: Mapping[str, Any]) -> Callable[[str], str] | None:
    """Return the cache's way from a name to its file in the folder, since it may have a digest of its own; or None."""
    cache = _cache(config)
    file_of = getattr(cache, "_get_filename", None)  # cachelib has no other name
    return None if file_of is None else lambda name: os.path.relpath(file_of(name), cache._path)  # noqa: SLF001


def old_prefix(config: Mapping[str, Any]) -> str:
    """Return the beginning of the names under which Flask-Session stored sessions."""
    cache = _cache(config)
    prefix = getattr(cache, "key_prefix", None) or ""
    return str(prefix() if callable(prefix) else prefix) + str(_KEY_PREFIX.read(config))


def _mongodb(config: Mapping[str, Any]) -> StoreChoice:
    database, collection = _MONGODB_DB.read(config), _MONGODB_COLLECT.read(config)
    url = f"mongodb://localhost:27017/{quote(database, safe='')}.{quote(collection, safe='')}"
    return _on_client(_MONGODB, config, _MONGODB_STORE, url, database=database, collection=collection)


def _on_client(given: Setting, config: Mapping[str, Any], store_class: str, url: str, **options: Any) -> StoreChoice:
    client = given.read(config)
    if client is None:
        return StoreChoice(f"SESSION_TYPE={config['SESSION_TYPE']!r}", url)
    return StoreChoice(given.name, client=client, store_class=store_class, options=options)


def _sqlalchemy(config: Mapping[str, Any]) -> StoreChoice:
    bind_key = _BIND_KEY.read(config)
    options = {"table": _TABLE.read(config), "schema": _SCHEMA.read(config)}
    client = _SQLALCHEMY.read(config)
    if client is not None:
        return StoreChoice(_SQLALCHEMY.name, None, client, _SQL_STORE, bind_key, options, "; or Flask-SQLAlchemy's db")
    name = "SQLALCHEMY_DATABASE_URI" if bind_key is None else f"SQLALCHEMY_BINDS[{bind_key!r}]"
    binds = {None: config.get("SQLALCHEMY_DATABASE_URI"), **(config.get("SQLALCHEMY_BINDS") or {})}
    url, engine_options = binds.get(bind_key), dict(config.get("SQLALCHEMY_ENGINE_OPTIONS") or {})
    if isinstance(url, dict):
        engine_options = {**url}
        url = engine_options.pop("url", None)
    if not url:
        raise ConfigurationError(
            f"SESSION_TYPE is 'sqlalchemy', and neither SESSION_SQLALCHEMY nor {name} is set: set one of them"
        )
    return StoreChoice(name, url, None, _SQL_STORE, options={**options, "engine_options": engine_options})


#: Every value of ``SESSION_TYPE``, in the order of the documentation.
TYPES: Mapping[str, StoreType] = {
    "null": StoreType(
        lambda config: None,  # noqa: ARG005
        (),
        "Flask's own signed cookie. It cannot list or end sessions: a logout deletes one browser's copy only. A "
        "warning at start-up says so.",
    ),
    "filesystem": StoreType(_files, (_FILE_DIR, _FILE_MODE), "A [folder of files](backends/files.md) in that folder."),
    "file": StoreType(
        _json_file,
        (_FILE_PATH,),
        "One [JSON file](backends/json.md), in the instance folder unless the path is absolute.",
    ),
    "redis": StoreType(
        partial(_with_prefix, _REDIS, _REDIS_STORE, "redis://127.0.0.1:6379"), (_REDIS,), "[Redis](backends/redis.md)"
    ),
    "memcached": StoreType(
        partial(_with_prefix, _MEMCACHED, _MEMCACHED_STORE, "memcached://127.0.0.1:11211"),
        (_MEMCACHED,),
        "[memcached](backends/memcached.md)",
    ),
    "mongodb": StoreType(_mongodb, (_MONGODB, _MONGODB_DB, _MONGODB_COLLECT), "[MongoDB](backends/mongodb.md)"),
    "sqlalchemy": StoreType(_sqlalchemy, (_SQLALCHEMY, _TABLE, _SCHEMA, _BIND_KEY), "[SQL](backends/sql.md)"),
    "postgresql": StoreType(
        _postgresql, (_POSTGRESQL, _POSTGRESQL_TABLE, _POSTGRESQL_SCHEMA), "[SQL](backends/sql.md)"
    ),
    "cachelib": StoreType(
        _cachelib,
        (_CACHELIB,),
        "The store in the folder, server or collection of the cache: files, Redis, memcached or MongoDB. Others are an "
        "error that says what to set.",
    ),
    "dynamodb": StoreType(
        _dynamodb,
        (_DYNAMODB, _DYNAMODB_REGION, _DYNAMODB_ENDPOINT, _DYNAMODB_TABLE, _DYNAMODB_BEFORE),
        "[DynamoDB](backends/dynamodb.md)",
    ),
}

_STORE_SETTINGS = tuple(each for type_ in TYPES.values() for each in type_.settings)

#: A token always has 32 bytes, expired records are removed as new ones are created and live ones never, rows have no
#: sequence number, and a table in DynamoDB is made if it is missing.
_WITHOUT_EFFECT = (
    "SESSION_ID_LENGTH", "SESSION_CLEANUP_N_REQUESTS", "SESSION_FILE_THRESHOLD", "SESSION_SQLALCHEMY_SEQUENCE",
    "SESSION_DYNAMODB_TABLE_EXISTS",
)  # fmt: skip

#: All of Flask-Session's settings.
SETTINGS: tuple[Setting, ...] = (TYPE, *_STORE_SETTINGS, *(Setting(name, setting.anything) for name in _WITHOUT_EFFECT))


#: By type, a setting whose name Flask-Session and Holdfast can share, with Flask-Session's default for the old name.
_TABLES_BEFORE = {
    "mongodb": Setting(_MONGODB_COLLECT.name, setting.name, "sessions"),
    "postgresql": Setting("", setting.name, "flask_sessions"),
    "dynamodb": Setting(_DYNAMODB_BEFORE.name, setting.name, "Sessions"),
}


def defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that differ with ``SESSION_TYPE``, as in Flask-Session, which excludes ``SESSION_STORE``."""
    kind = config.get("SESSION_TYPE")
    if not isinstance(kind, str):
        return {}
    if config.get("SESSION_STORE") is not None:
        raise ConfigurationError(f"SESSION_STORE and SESSION_TYPE={kind!r} are both set: remove one of them")
    changed: dict[str, Any] = {"SESSION_STORE": None}
    if kind != "null":
        changed["SESSION_PERMANENT"] = True
    if kind not in {"null", "file"}:
        changed["SESSION_IMPORT"] = "flask-session"
        table = _TABLES_BEFORE.get(kind)
        cached = getattr(config.get(_CACHELIB.name), "collection", None) or "sessions"
        changed["SESSION_IMPORT_TABLE"] = table.read(config) if table else cached
    if kind == "file":
        changed["SESSION_SERIALIZATION_FORMAT"] = "json"
    return changed


def without_type(config: Mapping[str, Any]) -> list[str]:
    """Return the settings in *config* that have no effect because ``SESSION_TYPE`` is missing."""
    if config.get("SESSION_TYPE") is not None:
        return []
    return [each.name for each in _STORE_SETTINGS if config.get(each.name) is not None]


def chosen_store(config: Mapping[str, Any]) -> StoreChoice | None:
    """Return the store for a valid ``SESSION_TYPE``; None for ``"null"``, Flask's own signed cookie."""
    kind = config["SESSION_TYPE"]
    if not isinstance(kind, str) or kind not in TYPES:
        names = ", ".join(map(repr, TYPES))
        raise ConfigurationError(f"SESSION_TYPE is {kind!r}: it must be one of {names}; or set SESSION_STORE to a URL")
    return TYPES[kind].choose(config)


def given_client(config: Mapping[str, Any]) -> Any:
    """Return the client that a setting of the present ``SESSION_TYPE`` gives, or None."""
    kind = TYPES.get(config.get("SESSION_TYPE") or "")
    return config.get(kind.settings[0].name) if kind is not None and kind.settings else None
