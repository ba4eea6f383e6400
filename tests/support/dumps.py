"""The access of a client with the store itself, read and written with plain drivers instead of Holdfast."""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import sqlalchemy as sa
from support.keyspace import prefix_in
from support.web import Web

#: Makes the new value of a record out of the old one.
Change = Callable[[bytes], bytes]


def dump(web: Web, place: str) -> bytes:
    """Return all that is in the store of *web*, which is the one at *place*: names, values, old pages and all."""
    return _at(place)[0](web, place)


def has_key(content: bytes, key: str) -> bool:
    """Return whether *key* is in *content*, as digits or as the bytes that they stand for."""
    return key.encode() in content or bytes.fromhex(key) in content


def overwrite(web: Web, place: str, key: str, change: Change) -> None:
    """Write what *change* makes of the value under *key* in its place.

    A value is what the store's driver has for one: a file, or the value of a key, where a header of the store comes
    before the data; a field or a column, where it does not.
    """
    _at(place)[1](web, place, key, change)


def removed(web: Web, place: str, key: str) -> None:
    """Remove the record under *key*, as a store does at the end of its own time."""
    _REMOVE[place.partition(":")[0].partition("+")[0]](web, place, key)


def _at(place: str) -> tuple[Callable[[Web, str], bytes], Callable[[Web, str, str, Change], None]]:
    return _BY_SCHEME[place.partition(":")[0].partition("+")[0]]


# --- in the process and on its disk -----------------------------------------------------------------------------------


def _dump_memory(web: Web, _place: str) -> bytes:
    return b"".join(key.encode() + repr(record).encode() + record.data for key, record in web.memory._records.items())


def _overwrite_memory(web: Web, _place: str, key: str, change: Change) -> None:
    record = web.memory._records[key]
    web.memory._records[key] = replace(record, data=change(record.data))


def _path(place: str) -> Path:
    return Path(place.partition(":///")[2])


def _dump_beside(_web: Web, place: str) -> bytes:
    """Return all files in the folder: the database, its log, its locks."""
    return _dump_folder(_path(place).parent)


def _dump_folder(folder: Path) -> bytes:
    parts = []
    for path in folder.rglob("*"):
        parts += [str(path).encode(), path.read_bytes() if path.is_file() else b""]
    return b"\n".join(parts)


def _overwrite_sqlite(_web: Web, place: str, key: str, change: Change) -> None:
    with closing(sqlite3.connect(_path(place))) as connection, connection:
        [[data]] = connection.execute("SELECT data FROM sessions WHERE key = ?", (bytes.fromhex(key),))
        connection.execute("UPDATE sessions SET data = ? WHERE key = ?", (change(data), bytes.fromhex(key)))


def _overwrite_file(_web: Web, place: str, key: str, change: Change) -> None:
    path = _path(place) / key[:2] / key
    path.write_bytes(change(path.read_bytes()))


def _json_data(entry: dict[str, Any]) -> bytes:
    if "base64" in entry:
        return base64.b64decode(entry["base64"])
    data = entry["data"]
    return data.encode() if isinstance(data, str) else json.dumps(data, separators=(",", ":")).encode()


def _dump_json(web: Web, place: str) -> bytes:
    entries = json.loads(_path(place).read_bytes()).values() if _path(place).exists() else []
    return _dump_beside(web, place) + b"\n".join(map(_json_data, entries))


def _overwrite_json(_web: Web, place: str, key: str, change: Change) -> None:
    entries = json.loads(_path(place).read_bytes())
    data = change(_json_data(entries[key]))
    entries[key].pop("data", None)
    entries[key]["base64"] = base64.b64encode(data).decode()
    _path(place).write_text(json.dumps(entries))


# --- Redis ------------------------------------------------------------------------------------------------------------


def _redis(place: str) -> Any:
    import redis

    return redis.Redis.from_url(place.partition("?")[0])


def redis_name(place: str, key: str) -> bytes:
    """Return the name in Redis of the record under *key*, in the store at *place*."""
    return prefix_in(place).encode() + bytes.fromhex(key)


_READERS: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"none": lambda _client, _name: b"",  # expired since it was named
    b"string": lambda client, name: client.get(name),
    b"hash": lambda client, name: client.hgetall(name),
    b"list": lambda client, name: client.lrange(name, 0, -1),
    b"set": lambda client, name: client.smembers(name),
    b"zset": lambda client, name: client.zrange(name, 0, -1, withscores=True),
    b"stream": lambda client, name: client.xrange(name),
}


def _dump_redis(_web: Web, place: str) -> bytes:
    parts = []
    with _redis(place) as client:
        for name in client.scan_iter(count=1000):
            value = _READERS[client.type(name)](client, name)
            parts += [name, value if isinstance(value, bytes) else repr(value).encode()]
    return b"\n".join(parts)


def _overwrite_redis(_web: Web, place: str, key: str, change: Change) -> None:
    name = redis_name(place, key)
    with _redis(place) as client:
        client.set(name, change(client.get(name)), keepttl=True)


# --- memcached --------------------------------------------------------------------------------------------------------


def _memcached(place: str, *, whole: bool = False) -> Any:
    """Return a client of the keys at *place*, or of the *whole* server's."""
    import pymemcache

    return pymemcache.Client(urlsplit(place).netloc, key_prefix=b"" if whole else prefix_in(place).encode())


def _dump_memcached(_web: Web, place: str) -> bytes:
    listed = b""
    with socket.create_connection(_memcached(place).server, timeout=5) as connection:
        connection.sendall(b"lru_crawler metadump all\r\n")
        while not listed.endswith(b"END\r\n"):
            piece = connection.recv(65536)
            assert piece, "memcached lists nothing"
            listed += piece
    names = [unquote_to_bytes(line.split()[0][len("key=") :]) for line in listed.splitlines() if line[:4] == b"key="]
    with closing(_memcached(place, whole=True)) as client:
        return b"\n".join([*names, *(client.get(name) or b"" for name in names)])


def _overwrite_memcached(_web: Web, place: str, key: str, change: Change) -> None:
    with closing(_memcached(place)) as client:
        assert client.set(key, change(client.get(key)), noreply=False)


# --- databases --------------------------------------------------------------------------------------------------------


@contextmanager
def mongodb_documents(place: str) -> Iterator[Any]:
    """Give the collection of MongoDB in which the store at *place* keeps its records."""
    import pymongo

    names = pymongo.uri_parser.parse_uri(place)
    with pymongo.MongoClient[dict[str, Any]](place, datetime_conversion="DATETIME_AUTO") as client:
        yield client[names["database"]][names["collection"]]


def _dump_mongodb(_web: Web, place: str) -> bytes:
    import bson

    with mongodb_documents(place) as sessions:
        database = sessions.database
        documents = [found for name in database.list_collection_names() for found in database[name].find()]
        return b"\n".join(map(bson.encode, documents))


def _overwrite_mongodb(_web: Web, place: str, key: str, change: Change) -> None:
    with mongodb_documents(place) as sessions:
        found = sessions.find_one({"_id": key})
        assert found is not None
        sessions.update_one({"_id": key}, {"$set": {"data": change(found["data"])}})


def _table(place: str) -> Any:
    from support.dynamodb import resource_of

    return resource_of(place).Table(place.rpartition("table=")[2])


def _dump_dynamodb(_web: Web, place: str) -> bytes:
    from boto3.dynamodb.types import Binary

    values = [value for item in _table(place).scan()["Items"] for value in item.values()]
    return b"\n".join(bytes(value) if isinstance(value, Binary) else str(value).encode() for value in values)


def _overwrite_dynamodb(_web: Web, place: str, key: str, change: Change) -> None:
    table = _table(place)
    item = table.get_item(Key={"id": key, "part": "record"})["Item"]
    table.put_item(Item={**item, "session_data": change(bytes(item["session_data"]))})


def _dump_sql(_web: Web, place: str) -> bytes:
    engine, parts = sa.create_engine(place), []
    metadata = sa.MetaData()
    try:
        metadata.reflect(engine)
        with engine.connect() as connection:
            for table in metadata.sorted_tables:
                for row in connection.execute(table.select()):
                    parts += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    finally:
        engine.dispose()
    return b"\n".join(parts)


def _overwrite_sql(_web: Web, place: str, key: str, change: Change) -> None:
    engine = sa.create_engine(place)
    table = sa.Table("holdfast_sessions", sa.MetaData(), sa.Column("key", sa.String), sa.Column("data", sa.LargeBinary))
    try:
        with engine.begin() as connection:
            data = connection.execute(sa.select(table.c.data).where(table.c.key == key)).scalar_one()
            connection.execute(table.update().where(table.c.key == key).values(data=change(bytes(data))))
    finally:
        engine.dispose()


_BY_SCHEME: dict[str, tuple[Callable[[Web, str], bytes], Callable[[Web, str, str, Change], None]]] = {
    "memory": (_dump_memory, _overwrite_memory),
    "sqlite": (_dump_beside, _overwrite_sqlite),
    "file": (lambda _web, place: _dump_folder(_path(place)), _overwrite_file),
    "json": (_dump_json, _overwrite_json),
    "unix": (_dump_redis, _overwrite_redis),
    "redis": (_dump_redis, _overwrite_redis),
    "memcached": (_dump_memcached, _overwrite_memcached),
    "mongodb": (_dump_mongodb, _overwrite_mongodb),
    "dynamodb": (_dump_dynamodb, _overwrite_dynamodb),
    "mariadb": (_dump_sql, _overwrite_sql),
    "mysql": (_dump_sql, _overwrite_sql),
    "postgresql": (_dump_sql, _overwrite_sql),
}


def _remove_from_json(_web: Web, place: str, key: str) -> None:
    entries = json.loads(_path(place).read_bytes())
    del entries[key]
    _path(place).write_text(json.dumps(entries))


def _remove_from_sqlite(_web: Web, place: str, key: str) -> None:
    with closing(sqlite3.connect(_path(place))) as connection, connection:
        connection.execute("DELETE FROM sessions WHERE key = ?", (bytes.fromhex(key),))


def _remove_from_redis(_web: Web, place: str, key: str) -> None:
    with _redis(place) as client:
        assert client.delete(redis_name(place, key))


def _remove_from_memcached(_web: Web, place: str, key: str) -> None:
    with closing(_memcached(place)) as client:
        assert client.delete(key, noreply=False)


def _remove_from_mongodb(_web: Web, place: str, key: str) -> None:
    with mongodb_documents(place) as sessions:
        assert sessions.delete_one({"_id": key}).deleted_count


def _remove_from_dynamodb(_web: Web, place: str, key: str) -> None:
    _table(place).delete_item(Key={"id": key, "part": "record"})


def _remove_from_sql(_web: Web, place: str, key: str) -> None:
    engine = sa.create_engine(place)
    table = sa.Table("holdfast_sessions", sa.MetaData(), sa.Column("key", sa.String))
    try:
        with engine.begin() as connection:
            assert connection.execute(table.delete().where(table.c.key == key)).rowcount
    finally:
        engine.dispose()


_REMOVE: dict[str, Callable[[Web, str, str], None]] = {
    "memory": lambda web, _place, key: web.memory._records.pop(key),
    "sqlite": _remove_from_sqlite,
    "file": lambda _web, place, key: (_path(place) / key[:2] / key).unlink(),
    "json": _remove_from_json,
    "unix": _remove_from_redis,
    "redis": _remove_from_redis,
    "memcached": _remove_from_memcached,
    "mongodb": _remove_from_mongodb,
    "dynamodb": _remove_from_dynamodb,
    "mariadb": _remove_from_sql,
    "mysql": _remove_from_sql,
    "postgresql": _remove_from_sql,
}
