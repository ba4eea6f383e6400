"""Databases of their own for tests, on SQLite and on the servers, and what is said to them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from support import seams
from support.servers import Server


def url_of(server: Server, *, port: int | None = None, database: str | None = None) -> str:
    """Return the URL of *server* over TCP, or over something else that listens on *port*."""
    url = sa.make_url(server.url)
    url = url.set(host="127.0.0.1", port=port or server.address[1], database=database or url.database, query={})
    return url.render_as_string(hide_password=False)


@contextmanager
def fresh_database(server: Server) -> Iterator[str]:
    """Make an empty database while the block runs, and return its URL."""
    name = f"test_{secrets.token_hex(8)}"
    engine = sa.create_engine(url_of(server), isolation_level="AUTOCOMMIT")
    end = " WITH (FORCE)" if engine.dialect.name == "postgresql" else ""
    try:
        _say(engine, f"CREATE DATABASE {name}")
        yield url_of(server, database=name)
        _say(engine, f"DROP DATABASE {name}{end}")
    finally:
        engine.dispose()


def _say(engine: sa.Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


@contextmanager
def statements() -> Iterator[list[str]]:
    """Note every statement that SQLAlchemy or a store sends while the block runs, on any engine."""
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        heard.append(statement)

    def hear_prepared(statement: Any, *arguments: Any) -> Any:
        heard.append(statement.sql)
        return run(statement, *arguments)

    run, patch = seams.SQL_PREPARED_STATEMENT.sound, pytest.MonkeyPatch()
    seams.SQL_PREPARED_STATEMENT.plant(patch, hear_prepared)
    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        patch.undo()
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
