"""Runs the statements of `holdfast.stores.sql`, and classifies their errors."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from holdfast.errors import RecordTooLarge, StoreError, StoreUnavailable, shear
from holdfast.stores.shared.clients import is_mistake, likely_fix
from holdfast.stores.shared.disk import SET_UP_WRONG, file_at, why_unusable
from holdfast.stores.shared.turns import Turns
from holdfast.stores.sql.connections import Checkout, Connections, Prepared, prepared
from holdfast.stores.sql.engines import QUEUE, codes_of, engine_beside, file_of, keep_private, takes_no_writes
from holdfast.stores.sql.table import ensure_table, has_table, make_indexes

T = TypeVar("T")

# PostgreSQL and SQLite add a little to a row. MySQL and MariaDB have a limit for a statement.
_MAX_BYTES = 1_000_000_000
# The size of a statement besides the data, and the bytes of the data that take two.
_STATEMENT = 4096
_ESCAPED = (b"\0", b"\n", b"\r", b"\x1a", b"'", b'"', b"\\")

# The error numbers of MySQL and MariaDB, and the standard's. A statement in a deadlock was rolled back completely.
_RAN_INTO_ANOTHER = {1020, 1213, "40001", "40P01"}
# Faults that waiting does not cure: a wrong user, password, host, database, schema or permission; an account that is
# locked, needs TLS, or whose password has expired; a host that is blocked; a column that is not ours; an option or a
# storage engine that the server lacks; a pooler that takes single statements only. psycopg gives those of a connection
# as text alone.
_ACCOUNT = {1044, 1045, 1049, 1129, 1130, 1142, 1143, 1227, 1698, 1820, 1862, 3118, 3159, 4151, "28000", "28P01"}
_COLUMN = {1048, 1054, 1364, 1366, "23502", "23514", "42703", "42804"}
_SET_UP_WRONG = {*_ACCOUNT, *_COLUMN, 1064, 1264, 1273, 1286, 1406, "3D000", "3F000"}
# The standard's classes of values and statements that do not fit the table; that it is missing, or there, may pass.
_DOES_NOT_FIT = re.compile(r"22\w{3}|42(?!P0[17])\w{3}")
_SET_UP_WRONG_TEXT = re.compile(
    r"FATAL: +(\"?\w+\"? authentication failed|(role|database) .* does not exist|role .* is not permitted to log in"
    r"|no pg_hba.conf entry|pg_hba.conf rejects|permission denied|no such (database|user))|no password supplied"
    r"|not allowed in statement pooling mode|FATAL: +(login rejected|bouncer config error)"
    r"|invalid (\w+ value|port number|value for parameter)|unrecognized configuration parameter"
    r"|(channel binding|GSSAPI encryption) required|cannot \w+( into| from)? view|NO_ENGINE_SUBSTITUTION"
    r"|readonly database|not a database|is malformed|(NOT NULL|CHECK) constraint failed"
)
# SQLite's code of a write to a file that is no longer at its path, from Python 3.11 on. Another is opened next.
_FILE_MOVED = 1032
_TOO_LARGE = {1118, 1153, "54000"}

#: A record of so many bytes may exceed what a server takes in one statement.
_LARGE = 512 * 1024

_REPEATS = 5
# The seconds within which a connection fails that was closed while idle.
_AT_ONCE = 0.5


class Database:
    """A database with the table of sessions, which with *create* it makes. It connects on first use.

    At most *max_connections* are in use at once; None: as the engine limits them.
    """

    def __init__(
        self, find_engine: Callable[[], sa.Engine], table: sa.Table, *, create: bool, max_connections: int | None = None
    ) -> None:
        self._find_engine = find_engine
        self._max_connections = max_connections
        self._table = table
        self._create = create
        self._engine: sa.Engine | None = None
        self._has_table = False
        self._path: str | None = None
        self._file: tuple[int, int] | None = None
        self._max_bytes = _MAX_BYTES
        self._inherited: list[object] = []
        self._connections: Connections | None = None
        self._statements: dict[sa.Executable, Prepared | None] = {}
        self._start()

    def rows(self, statement: sa.Executable, *, repeat: bool = True, **values: Any) -> Sequence[Any]:
        """Return the rows that *statement* finds, or deletes. With *repeat* as `count`."""
        rows: Sequence[Any] = self._run(statement, values, repeat=repeat)
        return rows

    def count(self, statement: sa.Executable, *, repeat: bool = False, **values: Any) -> int:
        """Return how many rows *statement* changes. With *repeat* it is repeated once when its answer is lost."""
        count: int = self._run(statement, values, repeat=repeat)
        return count

    def insert(self, statement: sa.Executable, **values: Any) -> bool:
        """Return whether *statement* inserts its row; False if the key exists."""
        try:
            self.count(statement, **values)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, sa.exc.IntegrityError) and not error.permanent:
                return False
            raise
        return True

    def ask(self, question: Callable[[sa.Connection], T]) -> T:
        """Return the result of *question* with a connection."""
        return self._ask(self._ready, question)

    def missing(self) -> str | None:
        """Return the missing file of SQLite or the missing table, or None. Creates nothing."""
        path = file_of(self._find_engine().url)
        if path is not None and not Path(path).exists():
            return f"file {path}"
        found = self._ask(self._connectable, lambda connection: has_table(self._table, connection))
        return None if found else f"table {self._table.name!r}"

    def _ask(self, find: Callable[[], Connections], question: Callable[[sa.Connection], T]) -> T:
        try:
            return find().run(lambda checkout: question(checkout.connection), keep=False)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise self._out_of_reach(error) from error

    def prepare(self) -> None:
        """Create the table and its indexes if they are missing, even if the first use must not."""
        self._create, self._has_table = True, False
        try:
            self.ask(lambda connection: make_indexes(self._table, connection))
        except StoreUnavailable as error:
            if getattr(error.__cause__, "statement", None) is None:
                raise
            raise StoreUnavailable(
                f"the table {self._table.name!r} or its indexes cannot be made: {type(error.__cause__).__name__}. May "
                "the user of the URL make tables?",
                permanent=error.permanent,
            ) from error.__cause__

    def close(self) -> None:
        """Close the connections that are not in use."""
        if self._connections is not None:
            self._connections.close()
        if self._engine is not None:
            self._engine.dispose()

    def _run(self, statement: sa.Executable, values: dict[str, Any], *, repeat: bool) -> Any:
        """Return the rows that *statement* finds, or how many it changes."""
        start, failures = time.monotonic(), 0
        while True:
            try:
                connections = self._ready()
                self._refuse_too_large(values.get("new_data", b""))
                return connections.run(self._work(statement, values), keep=True)
            except sa.exc.DBAPIError as error:
                failures += 1
                self._has_table = self._has_table and not _may_lack_table(error)
                was_idle = _is_lost(error) and failures == 1 and time.monotonic() < start + _AT_ONCE
                moved = failures == 1 and takes_no_writes(error.orig)
                again = (repeat and was_idle) or moved or codes_of(error.orig) & _RAN_INTO_ANOTHER
                if not again or failures > _REPEATS:
                    raise self._fault(error, values) from error
            except (sa.exc.SQLAlchemyError, OSError) as error:
                raise self._out_of_reach(error) from error

    def _fault(self, error: sa.exc.DBAPIError, values: dict[str, Any]) -> StoreError:
        too_large = codes_of(error.orig) & _TOO_LARGE or "too long for column 'data'" in str(error.orig)
        if "new_data" in values and too_large:
            size = len(values["new_data"])
            return RecordTooLarge(size, size - 1)
        if len(values.get("new_data", b"")) >= _LARGE and _is_lost(error):
            # A server that was restarted with a lower limit drops the connection of a statement that exceeds it.
            try:
                self._ready()
                self._refuse_too_large(values["new_data"])
            except RecordTooLarge as too_large:
                return too_large
            except (sa.exc.SQLAlchemyError, OSError):  # it is down
                pass
        return self._unavailable(f"did not execute a statement: {type(error.orig).__name__}", error)

    def _out_of_reach(self, error: Exception) -> StoreUnavailable:
        return self._unavailable(f"is out of reach: {type(error).__name__}", error)

    def _unavailable(self, problem: str, error: Exception) -> StoreUnavailable:
        permanent = _is_permanent(error)
        shear(error)
        if self._path is not None:
            unusable = why_unusable(Path(self._path)) if permanent else None
            problem = f"cannot be used: {unusable}" if unusable else f"{problem} ({self._path})"
        options = "the options for TLS, such as sslmode and ssl_ca,"
        tls = likely_fix(error, use=f"write {options} in its URL", omit=f"remove {options} from its URL")
        return StoreUnavailable(f"the database {problem}{tls}", permanent=permanent)

    def _refuse_too_large(self, data: bytes) -> None:
        limit = self._max_bytes
        if 2 * len(data) > limit and (size := len(data) + sum(map(data.count, _ESCAPED))) > limit:
            raise RecordTooLarge(size, limit)

    def _work(self, statement: sa.Executable, values: dict[str, Any]) -> Callable[[Checkout], Any]:
        """Return what runs *statement*; SQLAlchemy does if it is to log it, or the text depends on *values*."""
        if statement not in self._statements:
            engine = self._engine
            ready = None if engine is None or engine.echo else prepared(statement, engine.dialect)
            self._statements[statement] = ready
        ready = self._statements[statement]
        return functools.partial(_execute, statement, values) if ready is None else functools.partial(ready.run, values)

    def _connectable(self) -> Connections:
        if self._pid != os.getpid():
            self._start()
        connections = self._connections
        if connections is None:
            with self._lock:
                if self._engine is None:
                    engine = self._find_engine()
                    keep_private(engine.url)
                    self._path = file_of(engine.url)
                    self._engine = engine_beside(engine)
                turns = None if self._max_connections is None else Turns(self._max_connections, QUEUE)
                connections = self._connections = self._connections or Connections(self._engine, turns)
        return connections

    def _ready(self) -> Connections:
        connections = self._connectable()
        if self._path is not None and self._has_table and self._file != file_at(self._path):
            # A connection to a deleted or replaced file would go on with records that no other process sees.
            self.close()
            self._engine, self._connections, self._has_table = None, None, False
            connections = self._connectable()
        if not self._has_table:
            connections.run(lambda checkout: self._check(checkout.connection), keep=False)
            self._file = None if self._path is None else file_at(self._path)
            self._has_table = True
        return connections

    def _check(self, connection: sa.Connection) -> None:
        ensure_table(self._table, connection, create=self._create)
        if connection.dialect.name in {"mysql", "mariadb"}:
            packet = connection.execute(sa.text("SELECT @@max_allowed_packet")).scalar_one()
            self._max_bytes = min(_MAX_BYTES, packet - _STATEMENT)

    def _start(self) -> None:
        self._lock = threading.Lock()
        if self._engine is not None:
            # A forked child must neither use its parent's connections nor close them.
            self._inherited += [self._engine.pool, self._connections]
            self._engine.dispose(close=False)
        self._connections = None
        self._statements = {}
        self._pid = os.getpid()


def _execute(statement: sa.Executable, values: dict[str, Any], checkout: Checkout) -> Any:
    result = checkout.connection.execute(statement, values)
    return result.all() if result.returns_rows else result.rowcount


def _is_permanent(error: Exception) -> bool:
    cause = getattr(error, "orig", error)
    text = str(cause)
    if isinstance(cause, OSError):
        return cause.errno in SET_UP_WRONG or is_mistake(text)
    if getattr(cause, "sqlite_errorcode", None) == _FILE_MOVED:
        return False
    codes = codes_of(cause)
    if any(isinstance(code, str) and _DOES_NOT_FIT.fullmatch(code) for code in codes):
        return True
    return bool(codes & _SET_UP_WRONG or _SET_UP_WRONG_TEXT.search(text) or is_mistake(text))


def _may_lack_table(error: sa.exc.DBAPIError) -> bool:
    """Return whether the table may have been dropped or changed, or the server restarted with another limit.

    Nothing is looked up for another reason: MariaDB cannot do that while its disk is full, and can read and delete.
    """
    lacks = isinstance(error, sa.exc.ProgrammingError) or "no such" in str(error.orig)
    return lacks or error.connection_invalidated or not codes_of(error.orig).isdisjoint(_COLUMN)


def _is_lost(error: sa.exc.DBAPIError) -> bool:
    return error.connection_invalidated and error.statement is not None
