"""The SQL store: the contract on MariaDB, PostgreSQL and SQLite."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from support.servers import Server
from support.sql import url_of

from holdfast.clock import Clock
from holdfast.stores.contract import Store
from holdfast.stores.registry import open_store
from holdfast.stores.sql import SQLStore, sessions_table
from holdfast.testing import Fault, Link, StoreContract


def table_of(place: Path) -> str:
    """Return a table's name that no other test has."""
    return f"test_{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


class TestSQLStoreOnSQLite(StoreContract):
    """The contract on a file, through SQLAlchemy."""

    # Processes are tried on the servers, and on a file in test_sql_table.py: each takes a second to start.
    rounds = 6
    random_calls = 120

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a file of its own, which the disk is not waited for."""
        engine = sa.create_engine(f"sqlite+pysqlite:///{place}/sql.db")
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        return SQLStore(engine, clock=clock)


class OnAServer(StoreContract):
    """The contract on a server, behind a link that can be disturbed."""

    __test__ = False
    shared_between_processes = True
    rounds = 6
    random_calls = 120
    options: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _linked(self, server: Server, tmp_path: Path, _on_a_place_of_its_own: None) -> Iterator[None]:
        self.link = Link(server.address)
        url = f"{url_of(server, port=self.link.port)}?table={table_of(tmp_path)}{self.options}"
        (tmp_path / "url").write_text(url)
        yield
        self.link.close()
        engine = sa.create_engine(url_of(server))
        sessions_table(table_of(tmp_path)).drop(engine, checkfirst=True)
        engine.dispose()

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        return open_store((place / "url").read_text(), root=place, clock=clock)

    def disturb(self, fault: Fault, store: Any, place: Path) -> AbstractContextManager[object]:
        """Disturb the link."""
        return self.link.disturb(fault, meanwhile=self.meanwhile)


@pytest.mark.mariadb
class TestSQLStoreOnMariaDB(OnAServer):
    """The contract on MariaDB."""

    __test__ = True
    too_large = 16 * 1024 * 1024
    options = "&read_timeout=2&write_timeout=2"

    @pytest.fixture
    def server(self, mariadb_server: Server) -> Server:
        """The server."""
        return mariadb_server


@pytest.mark.postgresql
class TestSQLStoreOnPostgreSQL(OnAServer):
    """The contract on PostgreSQL."""

    __test__ = True

    @pytest.fixture
    def server(self, postgresql_server: Server) -> Server:
        """The server."""
        return postgresql_server
