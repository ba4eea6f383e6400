"""What a purge costs the request that it runs in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.everywhere import KINDS, url_of_kind

from holdfast.clock import system_clock
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

ROWS = 300


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=KINDS[kind]) for kind in ("sqlite", "mariadb", "postgresql")]
)
def test_a_purge_is_bounded_by_the_rows_that_it_looks_at(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Of rows in use that seem due since they were made, it defers about its limit; further purges do the rest."""
    url, clock = url_of_kind(kind, request, tmp_path), FakeClock(system_clock() - 200_000)
    store: Any
    with closing(open_store(url, clock=clock)) as store:  # type: ignore[type-var]
        keys = [f"{number:064x}" for number in range(ROWS)]
        for key in keys:
            store.create(key, b"data", expires_at=clock() + 1_000)
            store.touch(key, expires_at=clock() + 3_600_000)
        clock.advance(2)
        engine = sa.create_engine(url)
        table = sa.table("sessions" if kind == "sqlite" else "holdfast_sessions", sa.column("purge_at"))
        seem_due = sa.select(sa.func.count()).select_from(table).where(table.c.purge_at <= sa.bindparam("now"))

        def due() -> int:
            with engine.connect() as connection:
                return int(connection.execute(seem_due, {"now": clock()}).scalar_one())

        try:
            assert due() == ROWS
            assert store.purge(clock(), limit=50) == 0
            assert ROWS - 100 <= due() <= ROWS - 50
            store.purge(clock(), limit=2**31 - 1)
            assert due() == 0
        finally:
            engine.dispose()
        assert all(store.load(key) for key in keys)
