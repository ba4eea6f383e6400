"""What `holdfast.stores.sql` saves of SQLAlchemy's work for each statement: it keeps connections, and compiles once."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from holdfast.stores.shared import clients
from holdfast.stores.shared.clients import drain

T = TypeVar("T")

#: The seconds after which a connection goes back to the pool, which may replace it: half of the engine's own limit.
_LONGEST = 900.0


#: The place of a connection's cursor in its info: a driver takes longer to make one than to use it again.
_CURSOR = "holdfast cursor"


class Connections:
    """Lends connections of an engine, and keeps those that come back if *keeps*; for the pool they are in use."""

    def __init__(self, engine: sa.Engine, *, keeps: bool) -> None:
        self._engine = engine
        self._keeps = keeps
        # With the times of the first use and the last.
        self._idle: deque[tuple[sa.Connection, float, float]] = deque()

    def run(self, work: Callable[[sa.Connection], T], *, keep: bool) -> T:
        """Return the result of *work* with a connection. When it loses that, the others are not trusted either.

        *keep*: it changes no option of the connection, as SQLAlchemy's inspection does.
        """
        connection, first_use = self._take()
        try:
            result = work(connection)
            if connection.in_transaction():
                connection.rollback()  # a word to SQLAlchemy: each statement was committed
        except BaseException:
            if connection.invalidated:
                self.close()
            connection.close()
            raise
        now = time.monotonic()
        if keep and self._keeps and now - first_use < _LONGEST:
            self._idle.append((connection, first_use, now))
        else:
            connection.close()
        return result

    def _take(self) -> tuple[sa.Connection, float]:
        while True:
            try:
                connection, first_use, last_use = self._idle.pop()
            except IndexError:
                return self._engine.connect(), time.monotonic()
            if time.monotonic() - last_use <= clients.LONGEST_IDLE and not is_over(connection.connection):
                return connection, first_use
            connection.invalidate()  # a firewall may have dropped it
            connection.close()

    def close(self) -> None:
        """Return those that are not in use to the pool, which checks them before the next use."""
        drain(self._idle, lambda kept: kept[0].close())


def is_over(connection: Any) -> bool:
    """Return whether a driver's idle *connection* can be read: the server has closed it, or is about to."""
    try:
        file = connection.fileno() if hasattr(connection, "fileno") else getattr(connection, "_sock", None)
        if file is None or not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(file, select.POLLIN)
        return bool(poll.poll(0))
    except Exception:  # noqa: BLE001  # of the driver's: it is closed
        return True


class Prepared(NamedTuple):
    """A statement as text for a driver.

    Attributes:
        sql: The text.
        names: The names of its parameters by position; None: they have names in the text, too.
        constants: Parameters with a value of their own.
        processors: Functions for values that the driver takes in another form.
        returns_rows: Whether it is a query.
    """

    sql: str
    names: Sequence[str] | None
    constants: Mapping[str, Any]
    processors: Mapping[str, Callable[[Any], Any]]
    returns_rows: bool

    def run(self, values: Mapping[str, Any], connection: sa.Connection) -> Any:
        """Return the rows, or how many were changed."""
        if self.constants or self.processors:
            values = {**self.constants, **values}
            values |= {name: process(values[name]) for name, process in self.processors.items()}
        parameters: Any = values if self.names is None else [values[name] for name in self.names]
        cursor: Any = connection.info.get(_CURSOR)
        try:
            if cursor is None:
                cursor = connection.info[_CURSOR] = _new_cursor(connection)
            cursor.execute(self.sql, parameters)
            result = cursor.fetchall() if self.returns_rows else cursor.rowcount
        except BaseException as error:  # noqa: BLE001  # time-outs of gevent too, as SQLAlchemy
            # It treats the errors of its own statements so, but has no public name for it.
            connection.info.pop(_CURSOR, None)
            connection._handle_dbapi_exception(error, self.sql, None, cursor, None)  # noqa: SLF001
        return result


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
    processors = {name: process for name, process in found.items() if process is not None}
    names = compiled.positiontup if compiled.positional else None
    constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    return Prepared(str(compiled), names, constants, processors, isinstance(statement, sa.Select))
