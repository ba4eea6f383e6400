"""The health of a database."""

from __future__ import annotations

import sqlalchemy as sa

from holdfast.clock import Clock
from holdfast.stores.contract import HealthFinding
from holdfast.stores.shared.health import about_clock, about_indexes

# Selects the time in seconds since the epoch, by dialect. SQLite's is this machine's.
_EPOCH = {
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(3))",
    "mariadb": "SELECT UNIX_TIMESTAMP(NOW(3))",
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
}


def health_of(table: sa.Table, connection: sa.Connection, clock: Clock) -> list[HealthFinding]:
    """Return the findings about *table* and about the database's clock."""
    indexes = sa.inspect(connection).get_indexes(table.name, schema=table.schema)
    led = {index["column_names"][0] for index in indexes}
    missing = [column for column in ("owner", "purge_at") if column not in led]
    found = [about_indexes(missing, "make it with the statements that `python -m holdfast ddl URL` prints")]
    question = _EPOCH.get(connection.dialect.name)
    if question is not None:
        seconds = connection.execute(sa.text(question)).scalar_one()
        found.append(about_clock(round(float(seconds) * 1000), clock()))
    return found
