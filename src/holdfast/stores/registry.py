"""Finds the store for a URL, or for a ready client.

A store's module, and with it the driver, is imported when the first store of its kind is opened. A store class
implements the class method ``from_url(url, *, clock)``, with *root* if the URL may hold a path. It gets the URL without
the query, and the query as keyword arguments by the class's ``url_options``, a converter by name; where these are None,
the whole URL. A client that an application has is the class's first argument, or that of its ``from_client``.
"""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, cannot_import
from holdfast.stores.contract import Store
from holdfast.stores.shared.clients import has_method
from holdfast.stores.shared.options import did_you_mean, split_options


class _Backend(NamedTuple):
    """A kind of store. *on_disk*: its URL may hold a path. *client_method* is a method that only its clients have."""

    target: str
    schemes: tuple[str, ...]
    extra: str | None = None
    client_method: str | None = None
    on_disk: bool = False


# A scheme such as "mysql+*" matches "mysql" and "mysql+" with any driver, as in SQLAlchemy
_BACKENDS = (
    _Backend("holdfast.stores.memory:MemoryStore", ("memory",)),
    _Backend("holdfast.stores.sqlite:SQLiteStore", ("sqlite",), on_disk=True),
    _Backend("holdfast.stores.files:FileStore", ("file",), on_disk=True),
    _Backend("holdfast.stores.jsonfile:JSONFileStore", ("json",), on_disk=True),
    _Backend(
        "holdfast.stores.redis:RedisStore",
        ("redis+*", "rediss+*", "valkey+*", "valkeys+*", "unix"),
        extra="redis",
        client_method="register_script",
    ),
    _Backend("holdfast.stores.memcached:MemcachedStore", ("memcached",), "memcached", "gets"),
    _Backend("holdfast.stores.mongodb:MongoDBStore", ("mongodb", "mongodb+srv"), "mongodb", "get_database"),
    _Backend("holdfast.stores.dynamodb:DynamoDBStore", ("dynamodb",), "dynamodb", "batch_get_item"),
    _Backend(
        "holdfast.stores.sql:SQLStore",
        ("cockroachdb+*", "mariadb+*", "mssql+*", "mysql+*", "postgresql+*", "sqlite+*"),
        extra="sql",
        client_method="raw_connection",
        on_disk=True,
    ),
)

# Common other names of schemes, and their replacements.
_FOREIGN = {"postgres": "postgresql+psycopg"}

# The part before "://" may be quoted in a message; it cannot contain a password.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE | re.ASCII)

# What comes with a URL from a file or a form, and would become a part of a name in it.
_STRAY = re.compile(r"^\s|\s$|[\0-\x1f\x7f]")


def open_store(url: str, *, root: str | Path = ".", clock: Clock = system_clock) -> Store:
    """Return the store that *url* names. It opens no file or connection before its first use.

    Args:
        url: Such as ``sqlite:///sessions.db``. In ``sqlite``, ``file`` and ``json`` URLs a path after three slashes is
            relative to *root*, and a path after four is absolute. Percent-escapes are decoded. Options follow a
            question mark, as in ``sqlite:///sessions.db?timeout=2``.
        root: The base of relative paths: an application's instance folder. Default: the current folder.
        clock: Returns the time in milliseconds since the epoch.

    Raises:
        ConfigurationError: The scheme or an option is not known, a value is wrong, or a driver is not installed.
    """
    if _STRAY.search(url):
        raise ConfigurationError("the store URL has a blank at an end, or a line break: remove it")
    match = _SCHEME.match(url)
    if match is None:
        raise ConfigurationError("the store URL has no scheme: write it like sqlite:///sessions.db")
    scheme = match[1].lower()
    backend = _backend_of(scheme)
    try:
        store_class = pkgutil.resolve_name(backend.target)
        converters = getattr(store_class, "url_options", {})
        address, options = (url, {}) if converters is None else split_options(url, scheme, converters)
        folder = {"root": Path(root)} if backend.on_disk else {}
        store: Store = store_class.from_url(address, clock=clock, **folder, **options)
    except ImportError as error:
        fix = f": pip install 'holdfast[{backend.extra}]'" if backend.extra else ""
        raise cannot_import(error, f"the store URL's scheme {scheme!r}", fix) from error
    return store


def store_for(client: Any, *, clock: Clock = system_clock) -> Store | None:
    """Return a store on *client*, such as a ``redis.Redis`` or a ``sqlalchemy.Engine``; None if it is no client.

    A client that cannot be used is a `ConfigurationError`, which names its class.
    """
    for backend in _BACKENDS:
        if backend.client_method is not None and has_method(client, backend.client_method):
            return store_on(pkgutil.resolve_name(backend.target), client, clock=clock)
    return None


def store_on(store_class: Any, client: Any, **options: Any) -> Store:
    """Return the store of *store_class* on *client*. The client may determine a subclass: see its ``from_client``."""
    store: Store = getattr(store_class, "from_client", store_class)(client, **options)
    return store


def _backend_of(scheme: str) -> _Backend:
    if scheme in _FOREIGN:
        raise ConfigurationError(f"the store URL's scheme {scheme!r} is not known: write {_FOREIGN[scheme]}://")
    known = {name: backend for backend in _BACKENDS for name in backend.schemes}
    backend = known.get(scheme) or known.get(f"{scheme.partition('+')[0]}+*")
    if backend is None:
        hint = did_you_mean(scheme, {name.removesuffix("+*") for name in known})
        raise ConfigurationError(f"the store URL's scheme {scheme!r} is not known{hint}")
    return backend
