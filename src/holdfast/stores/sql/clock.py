"""The clock of the database server, as an expression of SQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from holdfast.clock import Clock

_POSTGRESQL = "CAST(EXTRACT(EPOCH FROM now()) * 1000 AS BIGINT)"
# NOW() has fractions, but is ambiguous when summer time ends.
_MYSQL = "(UNIX_TIMESTAMP() * 1000 + MICROSECOND(NOW(3)) DIV 1000)"
# The time at the start of the statement, by dialect. SQLite's is this machine's.
_SOURCES = {
    "cockroachdb": _POSTGRESQL,
    "mariadb": _MYSQL,
    "mssql": "DATEDIFF_BIG(millisecond, '1970-01-01', SYSUTCDATETIME())",
    "mysql": _MYSQL,
    "postgresql": _POSTGRESQL,
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}
_FAR_FUTURE = 2**63 - 1


class ServerTime(FunctionElement[int]):
    """The server's time in milliseconds since the epoch; on a dialect without a known clock, the far future."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(ServerTime)
def _compile(_: ServerTime, compiler: Any, **_options: Any) -> str:
    return _SOURCES.get(compiler.dialect.name, str(_FAR_FUTURE))


def earlier_of(moment: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the earlier of *moment* and the server's time."""
    return sa.case((ServerTime() < moment, ServerTime()), else_=moment)


def time_of(connection: sa.Connection, otherwise: Clock) -> int:
    """Return the time of the server of *connection*, or that of *otherwise* if its clock is not known."""
    if connection.dialect.name not in _SOURCES:
        return otherwise()
    return int(connection.execute(sa.select(ServerTime())).scalar_one())
