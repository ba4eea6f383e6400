"""Opening a store by its URL.

The scheme picks the store; its module, and with it the driver, is imported when the first store of that kind is
opened. A store class takes part with a class method ``from_url(url, *, root, clock)``. Where it lists its
``url_options``, a converter by name, it gets the URL without the query, and the query as keyword arguments;
otherwise it gets the whole URL.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError
from holdfast.stores.contract import Store


class _Row(NamedTuple):
    target: str
    extra: str | None = None


# A row such as "mysql+*" stands for "mysql" and for "mysql+" with any driver, as SQLAlchemy writes it.
_STORES: dict[str, _Row] = {
    "cockroachdb+*": _Row("holdfast.stores.sql:SQLStore", "sql"),
    "file": _Row("holdfast.stores.files:FileStore"),
    "json": _Row("holdfast.stores.jsonfile:JSONFileStore"),
    "mariadb+*": _Row("holdfast.stores.sql:SQLStore", "sql"),
    "memcached": _Row("holdfast.stores.memcached:MemcachedStore", "memcached"),
    "memory": _Row("holdfast.stores.memory:MemoryStore"),
    "mongodb": _Row("holdfast.stores.mongodb:MongoDBStore", "mongodb"),
    "mongodb+srv": _Row("holdfast.stores.mongodb:MongoDBStore", "mongodb"),
    "mssql+*": _Row("holdfast.stores.sql:SQLStore", "sql"),
    "mysql+*": _Row("holdfast.stores.sql:SQLStore", "sql"),
    "postgresql+*": _Row("holdfast.stores.sql:SQLStore", "sql"),
    "redis": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "redis+*": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "rediss": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "rediss+*": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "sqlite": _Row("holdfast.stores.sqlite:SQLiteStore"),
    "sqlite+*": _Row("holdfast.stores.sql:SQLStore", "sql"),
    "unix": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "valkey": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "valkey+*": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "valkeys": _Row("holdfast.stores.redis:RedisStore", "redis"),
    "valkeys+*": _Row("holdfast.stores.redis:RedisStore", "redis"),
}

# What comes before "://" may be quoted in a message; a password cannot be in it.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE | re.ASCII)


def open_store(url: str, *, root: str | Path = ".", clock: Clock = system_clock) -> Store:
    """Return the store that *url* names. Nothing is opened before its first use.

    Args:
        url: Such as ``sqlite:///sessions.db``. In ``sqlite``, ``file`` and ``json`` URLs three slashes begin a path
            relative to *root*, and four an absolute one. Percent-escapes are decoded. Options follow a question mark,
            as in ``sqlite:///sessions.db?timeout=2``.
        root: The folder that relative paths start from: an application's instance folder. Default: the current one.
        clock: Tells the time in milliseconds since the epoch.

    Raises:
        ConfigurationError: The scheme or an option is not known, a value is wrong, or a driver is not installed.
    """
    match = _SCHEME.match(url)
    if match is None:
        raise ConfigurationError("the store URL has no scheme: write it like sqlite:///sessions.db")
    scheme = match[1].lower()
    row = _STORES.get(scheme) or _STORES.get(scheme.partition("+")[0] + "+*")
    if row is None:
        raise ConfigurationError(f"the store URL's scheme {scheme!r} is not known{_hint(scheme, _STORES)}")
    try:
        module, _, name = row.target.partition(":")
        store_class = getattr(importlib.import_module(module), name)
        address, options = _split(url, scheme, getattr(store_class, "url_options", None))
        store: Store = store_class.from_url(address, root=Path(root), clock=clock, **options)
    except ModuleNotFoundError as error:
        fix = f": pip install 'holdfast[{row.extra}]'" if row.extra else ""
        driver = error.name or "a driver"
        raise ConfigurationError(
            f"the store URL's scheme {scheme!r} needs {driver}, which is not installed{fix}"
        ) from error
    return store


def _split(url: str, scheme: str, converters: Mapping[str, Callable[[str], Any]] | None) -> tuple[str, dict[str, Any]]:
    if converters is None:
        return url, {}
    address, _, query = url.partition("?")
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in converters:
            raise ConfigurationError(f"a {scheme} store has no option {name!r}{_hint(name, converters)}")
        try:
            options[name] = converters[name](value)
        except ValueError as error:
            raise ConfigurationError(f"the {scheme} store's option {name}={value!r} is not valid: {error}") from error
    return address, options


def _hint(name: str, known: Mapping[str, object]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return (f", did you mean {nearest[0]!r}?" if nearest else ".") + f" Known: {', '.join(sorted(known)) or 'none'}"
