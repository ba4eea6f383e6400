"""The health of a database."""

from __future__ import annotations

import sqlalchemy as sa

from holdfast.clock import Clock
from holdfast.stores.contract import HealthFinding
from holdfast.stores.shared.health import about_clock, about_indexes
from holdfast.stores.sql.clock import time_of


def health_of(table: sa.Table, connection: sa.Connection, clock: Clock) -> list[HealthFinding]:
    """Return the findings about *table* and about the database's clock."""
    indexes = sa.inspect(connection).get_indexes(table.name, schema=table.schema)
    led = {index["column_names"][0] for index in indexes}
    missing = [column for column in ("owner", "purge_at") if column not in led]
    found = [about_indexes(missing, "make it with the statements that `python -m holdfast ddl URL` prints")]
    if connection.dialect.name != "sqlite":  # whose clock is this machine's
        found.append(about_clock(time_of(connection, clock), clock()))
    return found
