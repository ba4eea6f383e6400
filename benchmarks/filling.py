"""Places that are filled with very many sessions at once, past the calls of a store, and measured in bytes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import sqlalchemy as sa
from support.databases import start_mongod, start_postgres
from support.servers import start_redis

from holdfast.stores import sqlite
from holdfast.stores.contract import Store
from holdfast.stores.files import FileStore
from holdfast.stores.mongodb import MongoDBStore
from holdfast.stores.mongodb.store import _fields
from holdfast.stores.redis import RedisStore, scripts
from holdfast.stores.shared.wire import raw_of
from holdfast.stores.sql import SQLStore
from holdfast.stores.sql.store import _values

_AT_ONCE = 1000

Row: TypeAlias = tuple[str, bytes, int, str]


@dataclass
class Rows:
    """Records to store: key, data, expiry and owner of each."""

    all: Iterator[Row]

    def some(self) -> Iterator[list[Row]]:
        """Yield some at a time."""
        while found := list(islice(self.all, _AT_ONCE)):
            yield found


@dataclass(frozen=True)
class Place:
    """A place for one store.

    Attributes:
        open: Returns the store.
        fill: Stores rows in it.
        room: Returns the bytes that all takes.
    """

    open: Callable[[], Store]
    fill: Callable[[Any, Rows], None]
    room: Callable[[], int]


PlaceOf: TypeAlias = Callable[[int], Place]


@contextmanager
def _sqlite(folder: Path) -> Iterator[PlaceOf]:
    def fill(store: sqlite.SQLiteStore, rows: Rows) -> None:
        store.ping()
        with closing(sqlite3.connect(store.path)) as connection:
            for some in rows.some():
                values = ((raw_of(key), 1, until, until, raw_of(owner), data) for key, data, until, owner in some)
                with connection:
                    connection.executemany(sqlite._INSERT, values)

    def room(path: Path) -> int:
        if not path.exists():
            return 0
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.stat().st_size

    def place(number: int) -> Place:
        path = folder / f"{number}.db"
        return Place(lambda: sqlite.SQLiteStore(path), fill, lambda: room(path))

    yield place


@contextmanager
def _files(folder: Path) -> Iterator[PlaceOf]:
    def fill(store: FileStore, rows: Rows) -> None:
        with mock.patch.object(os, "fsync"):  # hours, otherwise
            for some in rows.some():
                for key, data, until, owner in some:
                    store._prepare()
                    store._write(key, data, until, owner)

    def place(number: int) -> Place:
        path = folder / str(number)
        return Place(
            lambda: FileStore(path), fill, lambda: sum(each.lstat().st_blocks * 512 for each in path.rglob("*"))
        )

    yield place


@contextmanager
def _redis(_: Path) -> Iterator[PlaceOf]:
    import redis

    server = start_redis()

    def fill(store: RedisStore, rows: Rows) -> None:
        client = store._client
        client.script_load(scripts.CREATE.code)
        for some in rows.some():
            pipeline = client.pipeline(transaction=False)
            for key, data, until, owner in some:
                write, member = scripts.Write(data, until, owner, store._clock()), scripts.key_bytes(key)
                names, listed = store._within_reach(member, write)
                pipeline.evalsha(scripts.CREATE.sha, len(names), *names, *write.arguments, listed, member)
            pipeline.execute()

    def place(number: int) -> Place:
        client = redis.Redis.from_url(f"{server.url}?db={number}")
        return Place(lambda: RedisStore(client), fill, lambda: int(client.info("memory")["used_memory"]))

    try:
        yield place
    finally:
        server.stop()


@contextmanager
def _postgresql(folder: Path) -> Iterator[PlaceOf]:
    server = start_postgres("max_wal_size=4GB")

    def fill(store: SQLStore, rows: Rows) -> None:
        store.prepare()
        for some in rows.some():
            values = [_values(key, data, until, owner, 1) for key, data, until, owner in some]
            store.ask(lambda connection: connection.execute(store._insert, values))  # noqa: B023  # used at once

    def place(number: int) -> Place:
        store = SQLStore.from_url(server.url, root=folder, table=f"sessions_{number}")
        sized = sa.text(f"SELECT coalesce(pg_total_relation_size(to_regclass('sessions_{number}')), 0)")
        return Place(
            lambda: store, fill, lambda: int(store.ask(lambda connection: connection.execute(sized).scalar_one()))
        )

    try:
        yield place
    finally:
        server.stop()


@contextmanager
def _mongodb(_: Path) -> Iterator[PlaceOf]:
    import pymongo

    server = start_mongod()
    client: Any = pymongo.MongoClient(server.url)

    def fill(store: MongoDBStore, rows: Rows) -> None:
        store.prepare()
        for some in rows.some():
            documents = [{"_id": key, "version": 1, **_fields(data, until, owner)} for key, data, until, owner in some]
            store.ask(lambda sessions: sessions.insert_many(documents))  # noqa: B023  # used at once

    def room(number: int) -> int:
        client.admin.command("fsync")
        found = client.growth.command("collStats", f"sessions{number}")
        return int(found["storageSize"] + found["totalIndexSize"])

    def place(number: int) -> Place:
        made = MongoDBStore(client, database="growth", collection=f"sessions{number}", timeout=30.0)
        return Place(lambda: made, fill, lambda: room(number))

    try:
        yield place
    finally:
        client.close()
        server.stop()


#: Runs a backend during a block; what it yields returns a place by its number.
PLACES: dict[str, Callable[[Path], AbstractContextManager[PlaceOf]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgresql,
    "mongodb": _mongodb,
    "files": _files,
}
