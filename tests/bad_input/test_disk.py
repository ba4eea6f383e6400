"""Disks and files that fail: an outage, and the session unchanged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from bad_input import planted_outage as planted
from bad_input.answers import user
from bad_input.outages import BEFORE, VIEWS, assert_come_back, assert_refused, known, later
from security.rows import requirement
from security.steps import WebOn
from support.disk import no_room_for_files_over, taken_away
from support.web import end

from holdfast.flask import session


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Make the files below *folder* unreadable inside the block, as for a process of another user."""
    mode = folder.stat().st_mode
    folder.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(mode)


@requirement(
    "Catalogue F",
    says="A missing, full or forbidden disk is an outage: 503, no cookie, and the session unchanged.",
    mutants=[
        planted.faults_of_files_pass,
        planted.writes_are_believed,
        planted.an_outage_ends_the_cookie,
        planted.an_outage_is_a_new_session,
    ],
)
@pytest.mark.kinds("files", "json", "sqlite")
def test_a_disk_that_fails(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """A removed folder, a folder without permissions, and a full disk: at load and at save, on every store on disk."""
    folder = tmp_path / "place"
    folder.mkdir()
    place = place.replace(str(tmp_path), str(folder))
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = known(web)
    for way in (taken_away, forbidden):
        fresh = web_on(place, PROPAGATE_EXCEPTIONS=False)  # another process, without open connections
        with way(folder):
            fresh.clock.advance_ms(web.clock() - fresh.clock())
            for name, view in VIEWS.items():
                assert_come_back(fresh.do(view, fresh.with_token(token)), (way, name))
            assert_come_back(fresh.do(VIEWS["write"], fresh.app.test_client()), (way, "a first write"))
        assert later(web, token) == BEFORE, way
    large = "x" * 200_000
    for browser in (web.with_token(token), web.app.test_client()):
        with no_room_for_files_over(1 << 16):
            assert_come_back(web.do(lambda: session.update(note=large), browser), "no room")
        assert later(web, token) == BEFORE


@requirement(
    "Catalogue F",
    says="A SQLite file that is locked, without its table or no database is an outage.",
    mutants=[planted.sqlite_has_nothing, planted.writes_are_believed, planted.an_outage_ends_the_cookie],
)
@pytest.mark.kinds("sqlite")
def test_a_sqlite_that_refuses(place: str, web_on: WebOn) -> None:
    """Locked by another program: reads work and writes are 503; a dropped table is 503 once, and then recreated."""
    web = web_on(f"{place}?timeout=0.05", PROPAGATE_EXCEPTIONS=False)
    token = known(web)
    path = Path(place.partition(":///")[2])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_refused(web, token, "locked", reads=True)
        other.execute("ROLLBACK")
        assert later(web, token) == BEFORE
        other.execute("DROP TABLE sessions")
    assert_come_back(web.do(VIEWS["write"]), "dropped")
    assert later(web, token) == {}
    assert web.do(VIEWS["write"]).status_code == 200
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
    path.write_bytes(b"no database at all " * 500)
    fresh = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for view in (user, VIEWS["write"], end):
        assert_come_back(fresh.do(view, fresh.with_token(token)), "no database")
