"""The servers as fixtures, one of each kind for the whole run, started when the first test asks.

``HOLDFAST_TEST_<NAME>_URL``, such as ``HOLDFAST_TEST_REDIS_URL``, names a server that runs already. Then tests only
keep records there, under names of their own; a test that would stop it skips.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from support.databases import (
    start_dynalite,
    start_mariadb,
    start_mongo_replica_set,
    start_mongod,
    start_moto,
    start_postgres,
)
from support.servers import (
    Group,
    Server,
    start_cluster,
    start_memcached,
    start_redis,
    start_sentinel,
    start_valkey,
)


class Given(Server):
    """A server that was there before the tests and is there after them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url.partition(",")[0])
        self.url = url
        self.address = (parts.hostname or "127.0.0.1", parts.port or 0)

    def _skip(self) -> NoReturn:
        pytest.skip("a server that is only lent to the tests is not stopped")

    def stop(self) -> None:
        """Leave the server alone."""

    kill = restart = pause = resume = _skip
    nodes = helpers = property(_skip)


def _shared(name: str, start: Callable[[], Server | Group]) -> Any:
    @pytest.fixture(scope="session", name=name)
    def server(unavailable: Callable[[str], NoReturn]) -> Iterator[Server | Group]:
        variable = f"HOLDFAST_TEST_{name.removesuffix('_server').upper()}_URL"
        given = os.environ.get(variable)
        try:
            running = Given(given) if given else start()
        except FileNotFoundError as error:
            unavailable(str(error))
        yield running
        running.stop()

    return server


redis_server = _shared("redis_server", start_redis)
valkey_server = _shared("valkey_server", start_valkey)
redis_sentinel_server = _shared("redis_sentinel_server", start_sentinel)
redis_cluster_server = _shared("redis_cluster_server", start_cluster)
memcached_server = _shared("memcached_server", start_memcached)
mariadb_server = _shared("mariadb_server", start_mariadb)
postgresql_server = _shared("postgresql_server", start_postgres)
mongodb_server = _shared("mongodb_server", start_mongod)
dynamodb_server = _shared("dynamodb_server", start_moto)
dynalite_server = _shared("dynalite_server", start_dynalite)
mongodb_replica_set_server = _shared("mongodb_replica_set_server", start_mongo_replica_set)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that is not there yet."""
    return f"sqlite+pysqlite:///{tmp_path}/app.db"


@pytest.fixture
def mariadb_url(mariadb_server: Server) -> Iterator[str]:
    """The URL of an empty MariaDB database."""
    from support.sql import fresh_database

    with fresh_database(mariadb_server) as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: Server) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    from support.sql import fresh_database

    with fresh_database(postgresql_server) as url:
        yield url


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def sql_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: of SQLite, MariaDB and PostgreSQL by turns."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
