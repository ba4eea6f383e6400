"""Sessions in an SQL database by SQLAlchemy: MariaDB, MySQL, PostgreSQL, SQLite and others."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.records.record import Conflict, Gone, Page, Record, Version
from holdfast.stores.contract import HealthFinding, Report
from holdfast.stores.shared.answers import NO_KEY, batches, refusal, report_owned
from holdfast.stores.shared.clients import class_name
from holdfast.stores.shared.options import Converter, flag, whole
from holdfast.stores.shared.wire import owner_bytes, owner_text
from holdfast.stores.sql import engines
from holdfast.stores.sql.clock import earlier_of, time_of
from holdfast.stores.sql.database import Database
from holdfast.stores.sql.health import health_of
from holdfast.stores.sql.table import sessions_table, statements_for

T = TypeVar("T")

_BYTES = (bytes, bytearray, memoryview)

_BATCH = 100
# Each takes two parameters of a statement, which may have 999 in old versions of SQLite.
_DISCARDED = 400
_TRIES = 5
_OPTIONS: dict[str, Converter] = {"table": str, "schema": str, "create_table": flag, "max_connections": whole(1)}


class SQLStore:
    """Keeps records in one table. A call is one statement, rarely two, and each commits by itself.

    The store has connections of its own and takes no part in the application's sessions and transactions. It has no
    `move`: the core's way is two statements, and a transaction around them would be four.

    Args:
        engine: A `sqlalchemy.Engine` that knows how to connect, or a function that returns it at the first use.
        table: The table's name.
        schema: The table's schema. Default: the connection's.
        create_table: Whether the first use makes the table where it is missing.
        max_connections: The most connections in use at once; other calls wait for their turn. Default: as the engine
            limits them.
        clock: Returns the time in milliseconds since the epoch.

    Raises:
        ConfigurationError: *engine* is neither, or its driver is asynchronous.
    """

    #: A URL is SQLAlchemy's, with its query.
    url_options: ClassVar[None] = None

    def __init__(
        self,
        engine: sa.Engine | Callable[[], sa.Engine],
        *,
        table: str = "holdfast_sessions",
        schema: str | None = None,
        create_table: bool = True,
        max_connections: int | None = None,
        clock: Clock = system_clock,
    ) -> None:
        file = None
        if isinstance(engine, sa.Engine):
            engines.refuse_asynchronous_driver(engine.url)
            file = engines.file_of(engine.url)
        elif isinstance(engine, type) or not callable(engine):
            raise ConfigurationError(f"{class_name(engine)} is no engine: give what sqlalchemy.create_engine returns")
        self._find_engine = engine if callable(engine) else lambda: engine
        #: The file of a SQLite database, if it is known before the first use.
        self.path: Path | None = None if file is None else Path(file)
        self.schema: str | None = schema
        self.table_name: str = table
        self._table = sessions_table(table, schema=schema)
        self._database = Database(self._find_engine, self._table, create=create_table, max_connections=max_connections)
        self._clock = clock
        self._prepare_statements()

    @classmethod
    def from_url(
        cls,
        url: str | sa.URL,
        *,
        root: Path,
        engine_options: Mapping[str, Any] | None = None,
        clock: Clock = system_clock,
        **options: Any,
    ) -> SQLStore:
        """Return the store at an SQLAlchemy URL, with short time limits where the driver has such.

        ``table``, ``schema``, ``create_table`` (0 or 1) and ``max_connections`` (10) in its query are the store's, as
        they are among *options*; the rest is the driver's. *engine_options* are for `sqlalchemy.create_engine`. The
        path of a SQLite file is relative to *root*.

        Raises:
            ConfigurationError: The URL or an option is not valid, or the driver is missing or asynchronous.
        """
        address = engines.database_url(url)
        options |= engines.options_in(address, _OPTIONS)
        limit = options.get("max_connections", engines.MAX_CONNECTIONS)
        address = address.difference_update_query(list(_OPTIONS))
        engine = engines.engine_at(address, root=root, options=engine_options, max_connections=limit)
        if not (engine_options or address.get_backend_name() == "sqlite"):
            options["max_connections"] = limit
        return cls(engine, clock=clock, **options)

    def _prepare_statements(self) -> None:
        t, table = self._table.c, self._table
        key = sa.bindparam("at", type_=t.key.type)
        now, until = (sa.bindparam(name, type_=sa.BigInteger()) for name in ("now", "until"))
        live, expired = sa.and_(t.key == key, t.expires_at > now), sa.and_(t.key == key, t.expires_at <= now)
        # A column of SQLite takes values of any type, which SQLAlchemy would make bytes of, as many as a number says.
        data, owner = (sa.type_coerce(column, sa.types.NullType()) for column in (t.data, t.owner))
        record = (data, t.version, t.expires_at, owner)
        fields = {
            t.expires_at: until,
            **{column: sa.bindparam(f"new_{column.name}") for column in (t.version, t.owner, t.data)},
        }
        earlier = sa.case((t.purge_at > until, until), else_=t.purge_at)
        later = sa.case((t.expires_at < until, until), else_=t.expires_at)
        self._load = sa.select(*record).where(live)
        self._insert = table.insert().values({t.key: key, t.purge_at: until, **fields})
        self._insert_none = table.insert().from_select(list(t), sa.select(table).where(sa.false()))
        self._take_over = table.update().where(expired).values({t.purge_at: until, **fields})
        self._replace = (
            table.update().where(live, t.version == sa.bindparam("expect")).values({t.purge_at: earlier, **fields})
        )
        self._touch = table.update().where(live).values({t.expires_at: later})
        self._delete_live = table.delete().where(live)
        self._end = table.delete().where(live, t.version == sa.bindparam("expect"))
        self._delete = table.delete().where(t.key == key)
        number = sa.bindparam("number", type_=sa.Integer())
        self._scan = sa.select(t.key, *record).where(t.key > key, t.expires_at > now).order_by(t.key).limit(number)
        self._find = self._scan.where(t.owner == sa.bindparam("owner"))
        by_then = earlier_of(now)
        self._due = sa.select(t.key, owner, t.expires_at, by_then.label("at")).where(t.purge_at <= by_then)
        self._due = self._due.order_by(t.purge_at).limit(number)
        among = t.key.in_(sa.bindparam("keys", expanding=True))
        # Versions are random: none is another record's, and the database needs no comparison of pairs.
        same = t.version.in_(sa.bindparam("versions", expanding=True))
        self._discard = table.delete().where(among, same, t.expires_at > now).returning(t.key)
        self._defer = table.update().where(among, t.expires_at > now).values({t.purge_at: t.expires_at})
        self._purge = table.delete().where(among, t.expires_at <= now)
        self._left = sa.select(t.key).where(among)

    def load(self, key: str, /) -> Record | None:
        rows = self._database.rows(self._load, at=key, now=self._clock())
        return _record(rows[0]) if rows else None

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        database, version = self._database, secrets.randbits(62)
        values = _values(key, data, expires_at, owner, version)
        for _ in range(_TRIES):
            if database.insert(self._insert, **values):
                return version
            if database.count(self._take_over, now=self._clock(), **values):
                return version
            if self.load(key) is not None:
                return None
        raise StoreUnavailable("another record was in the way of a new one, and gone again, each time it was read")

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        version = secrets.randbits(62)
        values = _values(key, data, expires_at, owner, version)
        if isinstance(expect, int) and self._database.count(self._replace, now=self._clock(), expect=expect, **values):
            return version
        return refusal(self.load(key), expect) or Conflict()

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        return self._database.count(self._touch, repeat=True, at=key, now=self._clock(), until=expires_at) > 0

    def delete(self, key: str, /) -> bool:
        if self._database.count(self._delete_live, at=key, now=self._clock()):
            return True
        # An expired record goes too: if the clock is set back, it must not return.
        self._database.count(self._delete, at=key)
        return False

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        database, now, removed = self._database, self._clock(), set[str]()
        if not database.ask(lambda connection: connection.dialect.delete_returning):
            pairs = versions.items()
            return frozenset(key for key, expect in pairs if database.count(self._end, at=key, now=now, expect=expect))
        # In one order, so that processes that end the same sessions do not wait for each other in a circle.
        ours = {key: versions[key] for key in sorted(versions) if isinstance(versions[key], int)}
        for some in batches(ours, _DISCARDED):
            values = {"keys": list(some), "versions": list(some.values()), "now": now}
            removed.update(row.key for row in database.rows(self._discard, repeat=False, **values))
        return frozenset(removed)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        return self._page(self._find, after, limit, owner=_encoded(owner))

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return self._page(self._scan, after, limit)

    def _page(self, statement: sa.Executable, after: str | None, limit: int, **values: Any) -> Page:
        if after is not None and not (after.isascii() and after.isprintable()):  # no column of keys compares with it
            raise ValueError("no page ends at such a position")
        rows = self._database.rows(statement, at=after or "", now=self._clock(), number=limit, **values)
        items = tuple((key, _record(row)) for key, *row in rows if isinstance(key, str) and key.isascii())
        return Page(items, after=items[-1][0] if items and len(rows) == limit else None)

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        removed, left = 0, limit
        while left > 0:
            due = self._database.rows(self._due, now=now, number=min(_BATCH, left))
            if not due:
                break
            # All in one order, so that processes that purge at once do not wait for each other in a circle.
            values: dict[str, Any] = {"keys": sorted((key for key, *_ in due), key=str), "now": int(due[0][-1])}
            deferred = self._database.count(self._defer, **values)
            deleted = self._database.count(self._purge, **values)
            if report is not None:
                expired = [(key, owner) for key, owner, expires_at, at in due if _is_due(expires_at, at)]
                self._report(report, expired, deleted)
            removed += deleted
            left -= len(due)
            if not deferred and not deleted:  # another purge has done it, or nothing can
                break
        return removed

    def _report(self, report: Report, expired: list[tuple[str, Any]], deleted: int) -> None:
        """Call *report* with key and owner of the *expired* rows, except those that were not *deleted* after all."""
        left = set[str]()
        if deleted < len(expired):  # they were touched meanwhile, or another purge was first
            left = {row.key for row in self._database.rows(self._left, keys=[key for key, _ in expired])}
        report_owned(((key, _decoded(owner)) for key, owner in expired if key not in left), report)

    def now(self) -> int:
        return self._database.ask(lambda connection: time_of(connection, self._clock))

    def ping(self) -> None:
        self.touch(NO_KEY, expires_at=0)  # as the next two it writes nothing, and is refused where it may not
        self._database.count(self._insert_none)
        self._database.count(self._delete, at=NO_KEY)

    def missing(self) -> str | None:
        return self._database.missing()

    def prepare(self) -> None:
        self._database.prepare()

    def check_health(self) -> list[HealthFinding]:
        return self._database.ask(lambda connection: health_of(self._table, connection, self._clock))

    def ask(self, question: Callable[[sa.Connection], T], /) -> T:
        """Return the result of *question* with a connection. It may use other tables."""
        return self._database.ask(question)

    def close(self) -> None:
        self._database.close()

    def ddl(self) -> str:
        """Return the statements that make the table, as the database writes them. Nothing is connected to."""
        return statements_for(self._table, self._find_engine().dialect)


def _values(key: str, data: bytes, expires_at: int, owner: str | None, version: int) -> dict[str, Any]:
    return {"at": key, "new_data": data, "until": expires_at, "new_owner": _encoded(owner), "new_version": version}


def _encoded(owner: str | None) -> bytes | None:
    return None if owner is None else owner_bytes(owner)


def _decoded(owner: Any) -> str | None:
    return owner_text(bytes(owner)) if isinstance(owner, _BYTES) else None


def _is_due(expires_at: Any, at: int) -> bool:
    return isinstance(expires_at, int) and expires_at <= at


def _record(row: Sequence[Any]) -> Record:
    data, version, expires_at, owner = row
    # Others may write to the file: a record with values of other types holds nothing.
    sound = isinstance(data, _BYTES) and (owner is None or isinstance(owner, _BYTES))
    return Record(bytes(data) if sound else b"", version, expires_at, _decoded(owner))
