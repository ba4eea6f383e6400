"""Connections that `holdfast.stores.sql` keeps, and statements that it compiles once: less work than SQLAlchemy's."""

from __future__ import annotations

import functools
import select
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import BuiltinFunctionType
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from holdfast.errors import HoldfastError, StoreUnavailable
from holdfast.stores.shared import clients
from holdfast.stores.shared.clients import drain
from holdfast.stores.shared.turns import Turns

T = TypeVar("T")

#: The seconds after which a connection goes back to the pool, which may replace it: half of the engine's own limit.
_LONGEST = 900.0

# Drivers for which SQLAlchemy's only change to our values, another type for bytes, is not needed.
_TAKE_BYTES = frozenset({"psycopg", "psycopg2", "pymysql", "mysqldb"})

# Whether a replica answers reads, by dialect. Pgpool-II sends this question where it sends other reads, and
# pg_is_in_recovery() to the primary.
_READ_ONLY = "SELECT CONCAT(@@read_only) NOT IN ('0', 'OFF')"
_IS_REPLICA = {
    "mariadb": _READ_ONLY,
    "mysql": _READ_ONLY,
    "postgresql": "SELECT current_setting('transaction_read_only') > current_setting('default_transaction_read_only')",
}


class Checkout:
    """A connection, and what each statement needs of it.

    *cursors* are the driver's, by statement: to make one takes longer than to use it again, and psycopg keeps in it how
    it converts values. *is_over* returns whether the server has closed the idle connection.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.cursors: dict[str, Any] = connection.info.setdefault("holdfast cursors", {})
        raw = connection.connection.dbapi_connection
        lasts = isinstance(getattr(select, "poll", None), BuiltinFunctionType)  # gevent's serves one thread
        self.is_over = end_of(raw) if lasts else lambda: end_of(raw)()  # noqa: PLW0108
        self.first_use = self.last_use = time.monotonic()


class Connections:
    """Lends connections of an engine. With *turns* it keeps those that come back, which are in use for the pool.

    No thread may then wait at the pool, which gets none back. So *turns* bounds the connections that are checked out at
    once to as many as the pool has. None: the pool is the application's, and gets each back.
    """

    def __init__(self, engine: sa.Engine, turns: Turns | None) -> None:
        self._engine = engine
        self._keeps = turns is not None
        self._turns = turns or nullcontext()
        self._idle: deque[Checkout] = deque()

    def run(self, work: Callable[[Checkout], T], *, keep: bool) -> T:
        """Return the result of *work* with a connection. When it loses that, the others are not trusted either.

        *keep*: it changes no option of the connection, as SQLAlchemy's inspection does.
        """
        with self._turns:
            checkout = self._take()
            connection = checkout.connection
            try:
                if not checkout.cursors:
                    _leave_replica(connection)
                result = work(checkout)
                if connection.in_transaction():
                    connection.rollback()  # a word to SQLAlchemy: each statement was committed
            except BaseException:
                if connection.invalidated:
                    self.close()
                connection.close()
                raise
            checkout.last_use = time.monotonic()
            if keep and self._keeps and checkout.last_use - checkout.first_use < _LONGEST:
                self._idle.append(checkout)
            else:
                connection.close()
            return result

    def _take(self) -> Checkout:
        while True:
            try:
                checkout = self._idle.pop()
            except IndexError:
                break
            if time.monotonic() - checkout.last_use <= clients.LONGEST_IDLE and not checkout.is_over():
                return checkout
            checkout.connection.invalidate()  # a firewall may have dropped it
            checkout.connection.close()
        try:
            return Checkout(self._engine.connect())
        except (HoldfastError, sa.exc.SQLAlchemyError, OSError):
            raise
        except Exception as error:  # a driver's own, such as PyMySQL's without a package that the login needs
            raise StoreUnavailable("the driver of the database cannot connect", permanent=True) from error

    def close(self) -> None:
        """Return those that are not in use to the pool, which checks them before the next use."""
        drain(self._idle, lambda checkout: checkout.connection.close())


def _leave_replica(connection: sa.Connection) -> None:
    """Use *connection* no more if a replica answers its reads: it may not have the last saves and ends yet.

    A proxy may send it the reads alone, so that no write shows it. It may become a primary, so this is an outage.
    """
    question = _IS_REPLICA.get(connection.dialect.name)
    if question and connection.exec_driver_sql(question).scalar_one():
        connection.invalidate()
        raise StoreUnavailable(
            "a replica answers reads, where an ended session may still be: write the primary's address in the URL, or "
            "turn off the balancing of reads in the proxy"
        )


def end_of(connection: Any) -> Callable[[], object]:
    """Return what returns whether a driver's idle *connection* can be read: the server closed it, or is about to."""
    try:
        file = connection.fileno() if hasattr(connection, "fileno") else getattr(connection, "_sock", None)
        if file is None or not hasattr(select, "poll"):
            return lambda: False
        poll = select.poll()
        poll.register(file, select.POLLIN)
    except Exception:  # noqa: BLE001  # of the driver's: it is closed
        return lambda: True
    return functools.partial(poll.poll, 0)


class Prepared(NamedTuple):
    """A statement as text for a driver.

    *names* are those of its parameters by position; None: they have names in the text, too. *constants* are parameters
    with a value of their own, *processors* functions for values that the driver takes in another form.
    """

    sql: str
    names: Sequence[str] | None
    constants: Mapping[str, Any]
    processors: Mapping[str, Callable[[Any], Any]]
    returns_rows: bool

    def run(self, values: Mapping[str, Any], checkout: Checkout) -> Any:
        """Return the rows, or how many were changed."""
        if self.constants or self.processors:
            values = {**self.constants, **values}
            values |= {name: process(values[name]) for name, process in self.processors.items()}
        parameters: Any = values if self.names is None else [values[name] for name in self.names]
        cursor: Any = checkout.cursors.get(self.sql)
        try:
            if cursor is None:
                cursor = checkout.cursors[self.sql] = _new_cursor(checkout.connection)
            cursor.execute(self.sql, parameters)
            return cursor.fetchall() if self.returns_rows else cursor.rowcount
        except BaseException as error:  # noqa: BLE001  # time-outs of gevent too, as SQLAlchemy
            # It treats the errors of its own statements so, but has no public name for it.
            checkout.cursors.clear()
            checkout.connection._handle_dbapi_exception(error, self.sql, None, cursor, None)  # noqa: SLF001


def _new_cursor(connection: sa.Connection) -> Any:
    raw: Any = connection.connection.dbapi_connection
    # psycopg gets data as they are then, and not as digits.
    return raw.cursor(binary=True) if connection.dialect.driver == "psycopg" else raw.cursor()


def prepared(statement: sa.Executable, dialect: sa.Dialect) -> Prepared | None:
    """Return *statement* for *dialect*; None if its text depends on the values."""
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # they are clauses
    if not isinstance(compiled, SQLCompiler) or any(parameter.expanding for parameter in compiled.binds.values()):
        return None
    found = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
    processors = {name: process for name, process in found.items() if process and dialect.driver not in _TAKE_BYTES}
    names = compiled.positiontup if compiled.positional else None
    constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    return Prepared(str(compiled), names, constants, processors, isinstance(statement, sa.Select))
