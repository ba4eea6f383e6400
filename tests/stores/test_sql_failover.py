"""Sessions while a database server dies and comes back. ``pytest -s`` shows the figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.databases import start_mariadb, start_postgres
from support.load import save_through
from support.servers import Server
from support.sql import url_of

from holdfast.stores.sql import SQLStore


def start_durable_mariadb() -> Server:
    """Start a MariaDB that acknowledges durable writes, as by default."""
    return start_mariadb("--innodb-flush-log-at-trx-commit=1")


def start_durable_postgres() -> Server:
    """Start a PostgreSQL that acknowledges durable writes, as by default."""
    return start_postgres("synchronous_commit=on", "full_page_writes=on")


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(start_durable_mariadb, marks=pytest.mark.mariadb, id="mariadb"),
        pytest.param(start_durable_postgres, marks=pytest.mark.postgresql, id="postgresql"),
    ],
)
def test_a_server_dies_under_load(start: Callable[[], Server], tmp_path: Path) -> None:
    """Calls fail soon, as StoreUnavailable; when the server is back so are all sessions, and no save is lost."""
    server = start()

    def strike() -> None:
        server.kill()
        time.sleep(0.5)
        server.restart()

    with ExitStack() as stack:
        stack.callback(server.stop)
        stores = [SQLStore.from_url(url_of(server), root=tmp_path) for _ in range(3)]
        for store in stores:
            stack.callback(store.close)
        figures = save_through(stores, strike)
    sys.stdout.write(f"{start.__name__}: {figures}\n")
    assert figures.strange == []
    assert figures.errors
    assert figures.lost == 0
    assert figures.slowest < 5
    assert figures.outage < 15
