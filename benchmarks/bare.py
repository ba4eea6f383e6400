"""The client calls that a path needs: the lower bound for any session library.

A read fetches the data and its version. A write fetches them, and stores other data if the version is unchanged; on
files it does not check. A first write stores data under a new key. What has expired is not read: in SQL a column is
compared. No key is hashed, no data is encoded.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

#: The seconds that a session is kept.
LIFETIME = 31 * 86_400

#: Stores a value if the first 8 bytes of the old one, its version, are as expected.
REDIS_SAVE = """
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1"""


class Calls(Protocol):
    """The bare calls of one client, on data of the size that Holdfast stores."""

    def read(self, key: str, /) -> object:
        """Fetch the data under *key*."""

    def write(self, key: str, /) -> object:
        """Fetch the data under *key*, and store other data if it is unchanged."""

    def first(self, key: str, /) -> object:
        """Store data under *key*, which is new."""


class _Redis:
    def __init__(self, url: str, data: bytes) -> None:
        import redis

        self._client: Any = redis.Redis.from_url(url)
        self._save = self._client.register_script(REDIS_SAVE)
        self._data = data
        self.read = self._client.get

    def write(self, key: str, /) -> object:
        version = self._client.get(key)[:8]
        return self._save([key], [version, secrets.token_bytes(8) + self._data, LIFETIME])

    def first(self, key: str, /) -> object:
        return self._client.set(key, bytes(8) + self._data, ex=LIFETIME, nx=True)


class _Memcached:
    def __init__(self, url: str, data: bytes) -> None:
        import pymemcache

        self._client = pymemcache.Client(url.partition("://")[2], no_delay=True, default_noreply=False)
        self._data = data
        self.read = self._client.gets

    def write(self, key: str, /) -> object:
        _, unique = self._client.gets(key)
        return self._client.cas(key, self._data, unique, expire=LIFETIME - 86_400)

    def first(self, key: str, /) -> object:
        return self._client.add(key, self._data, expire=LIFETIME - 86_400)


class _MongoDB:
    def __init__(self, url: str, data: bytes) -> None:
        import pymongo
        from pymongo.write_concern import WriteConcern

        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url)
        collection = client.get_database("bare").get_collection("bare", write_concern=WriteConcern(w="majority"))
        self._collection = collection
        self._data = data

    def read(self, key: str, /) -> object:
        return self._collection.find_one({"_id": key})

    def write(self, key: str, /) -> object:
        version = (self._collection.find_one({"_id": key}) or {})["version"]
        return self._collection.update_one(
            {"_id": key, "version": version}, {"$set": {"data": self._data, "version": version + 1}}
        )

    def first(self, key: str, /) -> object:
        return self._collection.insert_one({"_id": key, "data": self._data, "version": 1})


class _DynamoDB:
    def __init__(self, url: str, data: bytes) -> None:
        from support.dynamodb import client_of

        self._client = client_of(url)
        self._data = data
        key = {"AttributeName": "id", "KeyType": "HASH"}
        self._client.create_table(
            TableName="bare",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[key],
            BillingMode="PAY_PER_REQUEST",
        )

    def read(self, key: str, /) -> Any:
        return self._client.get_item(TableName="bare", Key={"id": {"S": key}}, ConsistentRead=True)["Item"]

    def write(self, key: str, /) -> object:
        return self._put(key, int(self.read(key)["version"]["N"]) + 1)

    def first(self, key: str, /) -> object:
        return self._put(key, 1)

    def _put(self, key: str, version: int) -> object:
        return self._client.put_item(
            TableName="bare",
            Item={"id": {"S": key}, "data": {"B": self._data}, "version": {"N": str(version)}},
            ConditionExpression="attribute_not_exists(id) OR version = :before",
            ExpressionAttributeValues={":before": {"N": str(version - 1)}},
        )


class _SQL:
    """A connection that commits each statement. *mark* is the driver's form of a parameter."""

    def __init__(self, connection: Any, data: bytes, *, mark: str, blob: str) -> None:
        self._connection = connection
        self._data = data
        live = f"id = {mark} AND expires_at > {mark}"
        self._select = f"SELECT data, version FROM bare WHERE {live}"  # noqa: S608  # the marks are ours
        changed = f"data = {mark}, version = version + 1, expires_at = {mark}"
        self._update = f"UPDATE bare SET {changed} WHERE {live} AND version = {mark}"  # noqa: S608
        self._insert = f"INSERT INTO bare (id, version, data, expires_at) VALUES ({mark}, 1, {mark}, {mark})"  # noqa: S608
        connection.cursor().execute(
            "CREATE TABLE bare (id CHAR(64) PRIMARY KEY, version BIGINT NOT NULL, "
            f"expires_at BIGINT NOT NULL, data {blob} NOT NULL)"
        )

    def read(self, key: str, /) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(self._select, (key, int(time.time())))
        return cursor.fetchone()

    def write(self, key: str, /) -> object:
        _, version = self.read(key)
        now = int(time.time())
        return self._connection.cursor().execute(self._update, (self._data, now + LIFETIME, key, now, version))

    def first(self, key: str, /) -> object:
        return self._connection.cursor().execute(self._insert, (key, self._data, int(time.time()) + LIFETIME))


class _Files:
    def __init__(self, folder: Path, data: bytes) -> None:
        self._folder = folder
        self._data = data
        folder.mkdir()

    def read(self, key: str, /) -> object:
        return (self._folder / key).read_bytes()

    def write(self, key: str, /) -> object:
        self.read(key)
        return self.first(key)

    def first(self, key: str, /) -> object:
        temp = self._folder / secrets.token_hex(8)
        with temp.open("wb") as file:
            file.write(self._data)
            file.flush()
            os.fsync(file.fileno())
        return temp.replace(self._folder / key)


def _sqlite(url: str, data: bytes) -> Calls:
    path = Path(url.partition("///")[2])
    connection = sqlite3.connect(path.with_name("bare.db"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return _SQL(connection, data, mark="?", blob="BLOB")


def _server(url: str, data: bytes, *, blob: str, **options: Any) -> Calls:
    import sqlalchemy

    # SQLAlchemy only parses the URL here. The driver's own connection is used, without a pool.
    fairy = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", connect_args=options).connect().connection
    fairy.detach()
    return _SQL(fairy.dbapi_connection, data, mark="%s", blob=blob)


def _mariadb(url: str, data: bytes) -> Calls:
    return _server(url, data, blob="LONGBLOB")


def _postgresql(url: str, data: bytes) -> Calls:
    # A pooler in transaction mode knows no prepared statement.
    return _server(url, data, blob="BYTEA", prepare_threshold=None)


def _files(url: str, data: bytes) -> Calls:
    return _Files(Path(url.partition("///")[2]).with_name("bare"), data)


#: Returns the bare calls for a URL, by the backend's name. Memory needs none.
BARE: dict[str, Callable[[str, bytes], Calls]] = {
    "SQLite": _sqlite,
    "files": _files,
    "Redis": _Redis,
    "memcached": _Memcached,
    "MongoDB": _MongoDB,
    "DynamoDB": _DynamoDB,
    "MariaDB": _mariadb,
    "PostgreSQL": _postgresql,
}
