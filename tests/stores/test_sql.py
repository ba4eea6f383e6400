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

from holdfast.clock import Clock
from holdfast.store import Store
from holdfast.stores.sql import SQLStore, sessions_table
from holdfast.testing import Fault, Link, StoreContract
from holdfast.urls import open_store


def table_of(place: Path) -> str:
    """Return a table's name that no other test has."""
    return f"test_{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


class TestSQLStoreOnSQLite(StoreContract):
    """The contract on a file, through SQLAlchemy."""

    shared_between_processes = True
    rounds = 8

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store on a file of its own, which the disk is not waited for."""
        engine = sa.create_engine(f"sqlite+pysqlite:///{place}/sql.db")
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        return SQLStore(engine, clock=clock)


class OnAServer(StoreContract):
    """The contract on a server, behind a link that can be disturbed."""

    __test__ = False
    shared_between_processes = True
    rounds = 8
    template: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _linked(self, server: Server, tmp_path: Path, _on_a_place_of_its_own: None) -> Iterator[None]:
        self.link = Link(server.address)
        (tmp_path / "port").write_text(str(self.link.port))
        yield
        self.link.close()
        table = sessions_table(table_of(tmp_path))
        engine = sa.create_engine(self.template.format(port=server.address[1]))
        table.drop(engine, checkfirst=True)
        engine.dispose()

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        url = self.template.format(port=(place / "port").read_text())
        return open_store(f"{url}?table={table_of(place)}", root=place, clock=clock)

    def disturb(self, fault: Fault, store: Any, place: Path) -> AbstractContextManager[object]:
        """Disturb the link."""
        return self.link.disturb(fault)


@pytest.mark.mariadb
class TestSQLStoreOnMariaDB(OnAServer):
    """The contract on MariaDB."""

    __test__ = True
    template = "mariadb+pymysql://root@127.0.0.1:{port}/holdfast"
    too_large = 16 * 1024 * 1024

    @pytest.fixture
    def server(self, mariadb_server: Server) -> Server:
        """The server."""
        return mariadb_server


@pytest.mark.postgresql
class TestSQLStoreOnPostgreSQL(OnAServer):
    """The contract on PostgreSQL."""

    __test__ = True
    template = "postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"

    @pytest.fixture
    def server(self, postgresql_server: Server) -> Server:
        """The server."""
        return postgresql_server
