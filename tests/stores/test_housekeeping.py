"""What a purge costs the request that it runs in."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support import seams
from support.everywhere import KINDS, url_of_kind

from holdfast.clock import system_clock
from holdfast.records.record import Record
from holdfast.stores.files import FileStore
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


def test_a_purge_of_files_is_bounded_by_those_that_it_looks_at(tmp_path: Path) -> None:
    """Of files in use it reads some for each that it may remove, others each time, and removes all in the end."""
    clock = FakeClock()
    with_reads = Reads(tmp_path / "sessions", clock=clock)
    keys = [f"{number:02x}" + f"{number:062x}" for number in range(256)]
    for number, key in enumerate(keys):
        with_reads.create(key, b"data", expires_at=clock() + (1_000 if number % 8 == 0 else 3_600_000))
    clock.advance(2)
    removed, calls = 0, 0
    while removed < 32:
        with_reads.read.clear()
        removed += with_reads.purge(clock(), limit=4)
        calls += 1
        assert len(with_reads.read) <= 50 + 4
        assert calls < 32
    assert sorted(key for key, _ in with_reads.scan(limit=300).items) == [key for key in keys if int(key[:2], 16) % 8]


def test_a_purge_of_files_lists_no_folder_of_all_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users there are, it looks at the marks of a few, others each time, and at all of them in the end."""
    store, listed = FileStore(tmp_path / "sessions"), list[int]()
    for number in range(300):
        store.create(f"{number:064x}", b"data", expires_at=2**50, owner=f"user {number}")
    for record in (tmp_path / "sessions").glob("??/*"):
        record.unlink()

    sound = seams.FILES_NAMES.sound

    def names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
        found: list[str] = sound(folder, pattern)
        listed.append(len(found))
        return found

    with monkeypatch.context() as patch:
        seams.FILES_NAMES.plant(patch, names)
        store.purge(0, limit=4)
    marks = tmp_path / "sessions" / ".owners"
    assert len(list(marks.glob("??/*/*"))) == 295
    assert max(listed) <= 256
    for _ in range(60):
        store.purge(0, limit=4)
    assert list(marks.glob("??/*")) == []


class Reads(FileStore):
    """A file store that notes which records are read to find those that are due."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.read: list[str] = []

    def _due(self, key: str, now: int) -> Record | None:
        self.read.append(key)
        return super()._due(key, now)
