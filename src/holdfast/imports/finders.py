"""Where Flask-Session's values are, for each kind of store: found with the store's own client."""

from __future__ import annotations

import hashlib
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from holdfast.clock import HOUR, SECOND, Clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.shared.disk import check_folder, refuse_planted

#: cachelib's file begins with its expiry in seconds since the epoch, as the machine writes an unsigned int; 0: never.
_FILE_EXPIRY = struct.Struct("I")
#: Our folder in Flask-Session's. After a rollback cachelib would count another name, and remove live sessions earlier:
#: one that ends so is the name of a file that it is about to write.
OUR_FOLDER = "holdfast.__wz_cache"
#: The digests of a file's name, unless the cache has one of its own: MD5 until cachelib 0.15.
_DIGESTS = (partial(hashlib.sha256), partial(hashlib.md5, usedforsecurity=False))

#: Returns the file of a name, relative to the folder.
FileOf: TypeAlias = Callable[[str], str]

#: A host that is not in UTC stored in DynamoDB a moment that is off by its offset, at most 14 hours too early.
_MOST_OFFSET = 14 * HOUR


class Value(NamedTuple):
    """A value as it is stored. *expires_at* is in milliseconds since the epoch, or None if it has no known end."""

    payload: bytes
    expires_at: int | None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Finder(ABC):
    """Finds the values of Flask-Session with the client of *store*, in the table or collection *table*.

    *file_of* is given for a folder that a cache of cachelib names.

    Attributes:
        longest: How many bytes a name has at most.
        unlisted: Why names cannot be listed, of a place that cannot.
    """

    longest = 8192
    unlisted = ""

    def __init__(self, store: Any, table: str, clock: Clock, file_of: FileOf | None = None) -> None:
        self._store, self._table, self._clock, self._file_of = store, table, clock, file_of

    @abstractmethod
    def find(self, name: str, /) -> Value | None:
        """Return the value under *name*, live or expired, or None."""

    def names(self, _prefix: str, /) -> Iterable[str]:
        """Return all names, or those that begin with a prefix; `ConfigurationError` if they cannot be listed.

        Those that expired more than a day ago may be left out.
        """
        raise ConfigurationError(f"{self.unlisted}: each session is taken over at its first request")


class _InRedis(Finder):
    def find(self, name: str, /) -> Value | None:
        def ask(client: Any) -> Any:
            try:
                return client.pipeline(transaction=False).get(name).pttl(name).execute()
            except Exception as error:
                if "WRONGTYPE" in str(error):
                    return None, 0
                raise

        payload, ttl = self._store.ask(ask)
        if payload is None:
            return None
        return Value(payload, self._clock() + ttl if ttl >= 0 else None)

    def names(self, prefix: str, /) -> list[str]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
        found = self._store.ask(lambda client: list(client.scan_iter(match=pattern, count=1000)))
        # The names of our own records, under the same prefix, are no text.
        return [name.decode(errors="replace") for name in found]


class _InMemcached(Finder):
    longest, unlisted = 250, "memcached cannot list its keys"

    def find(self, name: str, /) -> Value | None:
        found = self._store.ask(lambda client: client.gets(name))
        return None if found is None or not isinstance(found[0], bytes) else Value(found[0], None)


class _InMongoDB(Finder):
    def find(self, name: str, /) -> Value | None:
        document = self._store.ask(lambda sessions: self._beside(sessions).find_one({"id": name}))
        payload = document.get("val") if document is not None else None
        if document is None or not isinstance(payload, bytes):
            return None
        expiration = document.get("expiration")
        return Value(payload, int(expiration) if type(expiration).__name__ == "DatetimeMS" else None)

    def names(self, _prefix: str, /) -> list[str]:
        found = self._store.ask(
            lambda sessions: [each.get("id") for each in self._beside(sessions).find({}, {"id": 1})]
        )
        return [name for name in found if isinstance(name, str)]

    def _beside(self, sessions: Any) -> Any:
        return sessions.database.get_collection(self._table, codec_options=sessions.codec_options)


class _InDynamoDB(Finder):
    longest = 2048

    def find(self, name: str, /) -> Value | None:
        found = self._read("get_item", Key={"id": {"S": name}}, ConsistentRead=True).get("Item", {})
        payload = found.get("val", {}).get("B")
        if not isinstance(payload, bytes):
            return None
        expiration = found.get("expiration", {}).get("N")
        return Value(payload, None if expiration is None else round(float(expiration) * SECOND) + _MOST_OFFSET)

    def names(self, _prefix: str, /) -> list[str]:
        page = self._read("scan", ProjectionExpression="id")
        found = page.get("Items", [])
        while "LastEvaluatedKey" in page:
            page = self._read("scan", ProjectionExpression="id", ExclusiveStartKey=page["LastEvaluatedKey"])
            found += page["Items"]
        return [item["id"]["S"] for item in found]

    def _read(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to *operation* on the table; an empty one without the table."""

        def ask(client: Any) -> Any:
            try:
                return getattr(client, operation)(TableName=self._table, **arguments)
            except client.exceptions.ResourceNotFoundException:
                return {}

        answer: dict[str, Any] = self._store.ask(ask)
        return answer


class _InSQL(Finder):
    def __init__(self, store: Any, table: str, clock: Clock, file_of: FileOf | None = None) -> None:
        import sqlalchemy as sa

        super().__init__(store, table, clock, file_of)
        self._exists: bool | None = None
        self._rows_of = sa.table(
            table,
            sa.column("session_id", sa.String),
            sa.column("data", sa.LargeBinary),
            sa.column("expiry", sa.DateTime),
            schema=store.schema,
        )

    def find(self, name: str, /) -> Value | None:
        rows = self._rows(lambda t: t.select().where(t.c.session_id == name))
        # Some collations ignore case, and an id in another case is another id.
        found = (Value(bytes(data), _milliseconds(end)) for own, data, end in rows if own == name and data is not None)
        return next(found, None)

    def names(self, _prefix: str, /) -> list[str]:
        # Nothing removes expired rows, and each would cost two reads. A day is more than any host's offset from UTC.
        day_ago = datetime.fromtimestamp(self._clock() / SECOND, timezone.utc).replace(tzinfo=None) - timedelta(days=1)
        rows = self._rows(
            lambda t: t.select().with_only_columns(t.c.session_id).where((t.c.expiry > day_ago) | t.c.expiry.is_(None))
        )
        return [name for (name,) in rows if isinstance(name, str)]

    def _rows(self, statement: Callable[[Any], Any]) -> list[Any]:
        """Return the rows of *statement*; none without the table, or if an expiry is damaged."""

        def ask(connection: Any) -> list[Any]:
            import sqlalchemy as sa

            if self._exists is None:
                self._exists = sa.inspect(connection).has_table(self._table, schema=self._store.schema)
            try:
                return connection.execute(statement(self._rows_of)).all() if self._exists else []
            except ValueError:
                return []

        rows: list[Any] = self._store.ask(ask)
        return rows


class _InFiles(Finder):
    unlisted = "the names of Flask-Session's files are hashes"

    def __init__(self, store: Any, table: str, clock: Clock, file_of: FileOf | None = None) -> None:
        super().__init__(store, table, clock, file_of)
        self._folder: Path = store.path.parent if store.path.name == OUR_FOLDER else store.path
        check_folder(self._folder)

    def find(self, name: str, /) -> Value | None:
        refuse_planted(self._folder, is_folder=True)
        files = [digest(name.encode()).hexdigest() for digest in _DIGESTS]
        for file in files if self._file_of is None else [self._file_of(name), *files]:
            try:
                raw = (self._folder / file).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreUnavailable(f"a file of Flask-Session cannot be read: {type(error).__name__}") from error
            if len(raw) > _FILE_EXPIRY.size:
                (seconds,) = _FILE_EXPIRY.unpack_from(raw)
                return Value(raw[_FILE_EXPIRY.size :], seconds * SECOND or None)
        return None


_FINDERS: dict[str, type[Finder]] = {
    "RedisClusterStore": _InRedis,
    "MemcachedStore": _InMemcached,
    "MongoDBStore": _InMongoDB,
    "DynamoDBStore": _InDynamoDB,
    "SQLStore": _InSQL,
    "FileStore": _InFiles,
}


def finder_beside(store: object, *, table: str, clock: Clock, file_of: FileOf | None = None) -> Finder:
    """Return the `Finder` for *store*; refuse a store where Flask-Session keeps none, and the store's own *table*."""
    if table == getattr(store, "table_name", None):
        raise ConfigurationError(
            f"the table {table!r} is Flask-Session's, and cannot be Holdfast's too. Name Holdfast's in another way, or "
            f"unset its name, and set SESSION_IMPORT_TABLE to {table!r}, to take its sessions over; set SESSION_IMPORT "
            "to False if it has none"
        )
    for kind in type(store).__mro__:
        if kind.__name__ in _FINDERS:
            return _FINDERS[kind.__name__](store, table, clock, file_of)
    raise ConfigurationError(
        f"Flask-Session keeps no sessions where a {type(store).__name__} does: set SESSION_STORE to the place where "
        "they are, in Redis, memcached, MongoDB, DynamoDB, SQL or a folder of files"
    )


def _milliseconds(expiry: Any) -> int | None:
    """Return a time of Flask-Session's, naive and in UTC, in milliseconds since the epoch."""
    if not isinstance(expiry, datetime):
        return None
    return round((expiry if expiry.tzinfo else expiry.replace(tzinfo=timezone.utc)).timestamp() * SECOND)
