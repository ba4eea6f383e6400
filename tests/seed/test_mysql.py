"""The program of long ago that keeps its sessions in MySQL runs on MariaDB with one import changed."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from holdfast.records.tokens import Keys

pytestmark = pytest.mark.mariadb


@pytest.fixture
def url(mariadb_url: str) -> str:
    """Return the database as the program writes it."""
    return (
        sa.make_url(mariadb_url)
        .set(drivername="mysql+pymysql", query={"charset": "utf8"})
        .render_as_string(hide_password=False)
    )


@pytest.fixture
def start(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Return a function that starts the program afresh, and returns its names."""
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", url)
    started: list[dict[str, Any]] = []

    def start() -> dict[str, Any]:
        started.append(runpy.run_path(str(Path(__file__).with_name("mysql.py")), run_name="shop"))
        return started[-1]

    yield start
    for program in started:
        program["app"].session_interface.manager.store.close()
        with program["app"].app_context():
            program["db"].engine.dispose()


def test_a_session_outlives_the_server(start: Callable[[], Any], url: str) -> None:
    """A value in a browser's session is there after a restart of the program, and no other browser sees it."""
    program = start()
    browser = program["app"].test_client()
    assert browser.get("/k1").text == "nothing"
    response = browser.get("/index")
    assert response.text == "xx"
    assert "Max-Age=2678400" in response.headers["Set-Cookie"]
    cookie = browser.get_cookie("session")
    assert cookie is not None
    again = start()["app"]
    returning, stranger = again.test_client(), again.test_client()
    returning.set_cookie("session", cookie.value)
    assert returning.get("/k1").text == "v1"
    assert stranger.get("/k1").text == "nothing"
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        keys = connection.execute(sa.text("SELECT `key` FROM session")).scalars().all()
    engine.dispose()
    assert keys == [Keys("mysql:").key_of(cookie.value)]


@pytest.mark.parametrize("before", [True, False])
def test_create_all_does_no_harm(start: Callable[[], Any], before: bool) -> None:
    """``db.create_all()`` may be called as Flask-Session documents, before the first session or after it."""
    program = start()
    app, db = program["app"], program["db"]
    browser = app.test_client()
    if not before:
        browser.get("/index")
    with app.app_context():
        db.create_all()
    if before:
        browser.get("/index")
    assert browser.get("/k1").text == "v1"
    with app.app_context():
        assert sa.inspect(db.engine).get_table_names() == ["session"]


def test_echo_shows_statements_and_no_session(start: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    """With ``SQLALCHEMY_ECHO`` the statements are logged, and neither a key nor what is in the session."""
    caplog.set_level("INFO", "sqlalchemy.engine")
    browser = start()["app"].test_client()
    browser.get("/index")
    browser.get("/k1")
    assert "INSERT INTO session" in caplog.text
    cookie = browser.get_cookie("session")
    assert cookie is not None
    assert Keys("mysql:").key_of(cookie.value) not in caplog.text
    assert "k1" not in caplog.text
