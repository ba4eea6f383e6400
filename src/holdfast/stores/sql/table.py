"""The table of `holdfast.stores.sql`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from holdfast.errors import ConfigurationError

# Compared byte by byte, with any collation of the database.
_KEY = (
    sa.String(64)
    .with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    .with_variant(sa.String(64, collation="C"), "postgresql")
)
_OWNER = sa.LargeBinary(255).with_variant(sa.VARBINARY(255), "mysql", "mariadb", "mssql")
_DATA = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

# PostgreSQL's limit for a name is 63 bytes, and that of an index ends with _purge_at.
_LONGEST_NAME = 54


def sessions_table(
    name: str = "holdfast_sessions", *, schema: str | None = None, metadata: sa.MetaData | None = None
) -> sa.Table:
    """Return the table of sessions, for migrations. *metadata*: its `MetaData`; default: its own.

    Raises:
        ConfigurationError: *name* is empty, or too long for the names of the indexes that are made from it.
    """
    if not 0 < len(name.encode()) <= _LONGEST_NAME:
        raise ConfigurationError(f"the table name {name!r} must have 1 to {_LONGEST_NAME} bytes: choose another")
    return sa.Table(
        name,
        sa.MetaData() if metadata is None else metadata,
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        # Never later than expires_at, and only `purge` changes it: an index on expires_at would be written by every
        # save.
        sa.Column("purge_at", sa.BigInteger, nullable=False),
        sa.Column("owner", _OWNER),
        sa.Column("data", _DATA, nullable=False),
        sa.Index(f"{name}_owner", "owner", "key"),
        sa.Index(f"{name}_purge_at", "purge_at"),
        schema=schema,
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


def statements_for(table: sa.Table, dialect: sa.Dialect) -> str:
    """Return the statements that create *table*, in *dialect*."""
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    statements: list[sa.schema.ExecutableDDLElement] = [
        sa.schema.CreateTable(table),
        *map(sa.schema.CreateIndex, indexes),
    ]
    return "\n".join(f"{str(statement.compile(dialect=dialect)).strip()};" for statement in statements)


def ensure_table(table: sa.Table, connection: sa.Connection, *, create: bool) -> None:
    """Check that *table* exists and is ours, and create it if it is missing and *create* is True."""
    found = _columns(table, connection)
    if not found:
        _make(table, connection, create=create)
        found = _columns(table, connection)
    missing = [column.name for column in table.columns if column.name not in found]
    if missing and found.keys() >= {"session_id", "data", "expiry"}:
        raise ConfigurationError(
            f"the table {table.name!r} is Flask-Session's: it is left as it is. Set SESSION_SQLALCHEMY_TABLE to "
            f"another name, or unset it, and SESSION_IMPORT_TABLE to {table.name!r}, to take its sessions over"
        )
    if missing:
        raise ConfigurationError(
            f"the table {table.name!r} is not one of Holdfast's, it has no column {' and no '.join(missing)}: "
            "it is left as it is; choose another name for the table of sessions"
        )
    dialect = connection.dialect
    # A column of SQLite takes values of any type. Of another database they would come back as others than were stored.
    for column in table.columns if dialect.name != "sqlite" else ():
        type_ = found[column.name]
        with suppress(NotImplementedError):  # of a type that says nothing about its values
            if not issubclass(type_.python_type, column.type.python_type):
                raise ConfigurationError(
                    f"the column {column.name!r} of the table {table.name!r} is {type_.compile(dialect)}, and has to be"
                    f" {column.type.compile(dialect)}: change its type, or choose another name for the sessions' table"
                )


def make_indexes(table: sa.Table, connection: sa.Connection) -> None:
    """Create the missing indexes on *table*."""
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        index.create(connection, checkfirst=True)


def has_table(table: sa.Table, connection: sa.Connection) -> bool:
    """Return whether *table* exists."""
    return sa.inspect(connection).has_table(table.name, schema=table.schema)


def _columns(table: sa.Table, connection: sa.Connection) -> dict[str, sa.types.TypeEngine[Any]]:
    """Return the types of the columns that *table* has in the database, by their names; none without it."""
    try:
        columns = sa.inspect(connection).get_columns(table.name, schema=table.schema)
    except sa.exc.NoSuchTableError:
        return {}
    return {column["name"]: column["type"] for column in columns}


def _make(table: sa.Table, connection: sa.Connection, *, create: bool) -> None:
    if not create:
        raise ConfigurationError(
            f"there is no table {table.name!r}, and it is not to be made at the first use: make it with the statements "
            "that `python -m holdfast ddl URL` prints, or by a migration"
        )
    try:
        table.create(connection)
    except sa.exc.DBAPIError:
        # Another process was faster.
        if connection.invalidated or not has_table(table, connection):
            raise
