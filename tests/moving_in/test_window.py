"""When sessions are taken over and when not: settings, the command, the log, the doctor, keys and stores."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle  # noqa: TID251  # the tests write what old releases wrote
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from moving_in.conftest import cookie_of, with_cookie
from moving_in.old_application import application
from support import seams

from holdfast.clock import system_clock
from holdfast.contrib.doctor import examine
from holdfast.errors import ConfigurationError
from holdfast.flask import Session
from holdfast.metrics.memory import InMemoryMetrics
from holdfast.sessions.manager import directory
from holdfast.testing import FakeClock

_IDS = [f"3f2b6a4e-3d51-4b7e-9a51-0d8c7c1b0a{number}" for number in range(10, 13)]

_IMPORTS = (["import", "--count"], ["import"])

Make = Callable[..., Flask]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL of a database with three sessions of Flask-Session 0.6, of which two are Ada's."""
    url = f"sqlite+pysqlite:///{tmp_path}/app.db"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sessions (session_id TEXT, data BLOB, expiry TIMESTAMP)"))
        insert = sa.text("INSERT INTO sessions VALUES (:id, :data, :expiry)")
        for number, old_id in enumerate(_IDS):
            expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(days=3) if number else None
            data = pickle.dumps({"user_id": "ada"} if number < 2 else {"name": "Ida"})
            connection.execute(insert, {"id": f"session:{old_id}", "data": data, "expiry": expiry})
    yield url
    engine.dispose()


@pytest.fixture
def make(url: str, tmp_path: Path, apps: list[Flask]) -> Make:
    """Return a function that makes an application on that database."""

    def make(extend: Callable[[Flask], object] = Session, **config: Any) -> Flask:
        where = {"SESSION_STORE": url, "SESSION_IMPORT": "flask-session", "INSTANCE_PATH": str(tmp_path)}
        apps.append(application(extend, {**where, **config}))
        return apps[-1]

    return make


def shown(app: Flask, value: str) -> str:
    """Return whom the cookie *value* shows."""
    return with_cookie(app, value).get("/values").text


def test_it_can_be_disabled_and_ends_at_a_time(make: Make) -> None:
    """With ``False`` and from ``SESSION_IMPORT_UNTIL`` on nothing is taken over."""
    assert "Ida" not in shown(make(SESSION_IMPORT=False), _IDS[2])
    assert "Ida" not in shown(make(SESSION_IMPORT_UNTIL="2026-01-01T00:00:00Z"), _IDS[2])
    assert "Ida" in shown(make(SESSION_IMPORT_UNTIL="2999-01-01T00:00:00Z"), _IDS[2])


def test_none_is_taken_over_that_may_be_from_before_a_moment(make: Make) -> None:
    """With ``SESSION_NOT_BEFORE`` nothing is, since it is unknown when an old session began."""
    assert "Ida" not in shown(make(SESSION_NOT_BEFORE="2026-01-01T00:00:00Z"), _IDS[2])
    assert "Ida" in shown(make(), _IDS[2])


def test_the_end_and_the_first_are_logged_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line for the first session, and one with their number after the end."""
    caplog.set_level(logging.INFO, "holdfast")
    clock = FakeClock(system_clock())
    until = datetime.fromtimestamp(clock() / 1000 + 3600, timezone.utc)
    app = make(lambda app: Session(app, clock=clock), SESSION_IMPORT_UNTIL=until)
    for old_id in _IDS[:2]:
        shown(app, old_id)
    clock.advance(3600)
    for _ in range(2):
        assert "Ida" not in shown(app, _IDS[2])
    lines = [record.getMessage() for record in caplog.records if "SESSION_IMPORT" in record.getMessage()]
    assert len(lines) == 2
    assert lines[0].startswith("a session from before was taken over")
    assert lines[1].startswith("SESSION_IMPORT_UNTIL has passed: this process has taken over 2 sessions")


def test_users_of_the_quickstart_are_bound(make: Make) -> None:
    """A user in ``SESSION_IDENTITY_KEYS`` is listed and ended like any other; when they authenticated is unknown."""
    observer = InMemoryMetrics()
    app = make(lambda app: Session(app, observer=observer))
    manager = directory(app.extensions["holdfast"].manager)
    first = with_cookie(app, _IDS[0])
    first.get("/me")
    shown(app, _IDS[1])
    found = manager.of("ada")
    assert len(found) == 2
    assert [each.authenticated_at for each in found] == [None, None]
    assert observer.snapshot()["counts"]["imported"] == 2
    manager.revoke_all("ada")
    assert "ada" not in first.get("/values").text


def test_all_are_taken_over_at_once_while_the_application_runs(make: Make) -> None:
    """The command takes over what no request has yet, prints how many, and can be repeated; cookies go on."""
    app = make()
    assert "Ida" in shown(app, _IDS[2])
    run = app.test_cli_runner().invoke
    assert run(args=["sessions", "import", "--count"]).output == "2 sessions left to take over; 0 cannot be read.\n"
    done = "Took over 2 sessions; 1 were before, 0 ended, 0 cannot be read.\n"
    assert run(args=["sessions", "import"]).output == done
    again = {"taken_over": 0, "before": 3, "ended": 0, "unreadable": 0}
    assert json.loads(run(args=["sessions", "import", "--json"]).output) == again
    assert json.loads(run(args=["sessions", "import", "--count", "--json"]).output) == {"left": 0, "unreadable": 0}
    assert directory(app.extensions["holdfast"].manager).count() == 3
    browser = with_cookie(app, _IDS[1])
    assert "ada" in browser.get("/values").text
    assert cookie_of(browser) != _IDS[1]
    error = make(SESSION_IMPORT=False).test_cli_runner().invoke(args=["sessions", "import"])
    assert error.exit_code == 1
    assert "set SESSION_IMPORT" in error.output


def test_what_cannot_be_read_is_counted_by_itself(make: Make, url: str) -> None:
    """A damaged session and one that expired are not left for ever: the doctor says that the import can be disabled."""
    hour_ago = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(hours=1)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        update = sa.text("UPDATE sessions SET data = :data, expiry = :expiry WHERE session_id = :id")
        for old_id, data, expiry in ((_IDS[1], b"\x80\x04.", None), (_IDS[2], b"", hour_ago)):
            connection.execute(update, {"id": f"session:{old_id}", "data": data, "expiry": expiry})
    engine.dispose()
    app = make()
    run = app.test_cli_runner().invoke
    assert run(args=["sessions", "import", "--count"]).output == "1 session left to take over; 1 cannot be read.\n"
    done = "Took over 1 session; 0 were before, 1 ended, 1 cannot be read.\n"
    assert run(args=["sessions", "import"]).output == done
    (row,) = [each for each in examine(app).rows if each.name == "imported"]
    assert row.status == "manual"


def test_rows_that_expired_long_ago_are_not_looked_up(make: Make, url: str) -> None:
    """Nothing removes Flask-Session's expired rows: neither the command nor the doctor reads them one by one."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        insert = sa.text("INSERT INTO sessions VALUES (:id, NULL, '2020-01-01 00:00:00.000000')")
        connection.execute(insert, [{"id": f"session:{number:032x}"} for number in range(10)])
    engine.dispose()
    app = make()
    assert sorted(app.extensions["holdfast"].manager.context.old_place.ids()) == _IDS
    done = "Took over 3 sessions; 0 were before, 0 ended, 0 cannot be read.\n"
    assert app.test_cli_runner().invoke(args=["sessions", "import"]).output == done


def test_other_identity_keys_end_no_session_that_an_old_id_leads_to(make: Make) -> None:
    """A session goes on with its values where ``SESSION_IDENTITY_KEYS`` is changed meanwhile."""
    with_cookie(make(), _IDS[1]).get("/name/Eve")
    for keys in ([], ["account", "user_id"], ["account"]):
        assert "Eve" in shown(make(SESSION_IDENTITY_KEYS=keys), _IDS[1])


def test_an_interruption_says_how_far_it_got(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interruption the command says what it did, and what to do; the next one goes on."""
    app = make()
    take_over, calls = app.extensions["holdfast"].manager.take_over, list[str]()

    def interrupted(old_id: str, *, dry_run: bool) -> str:
        calls.append(old_id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return str(take_over(old_id, dry_run=dry_run))

    seams.MANAGER_TAKE_OVER.plant(monkeypatch, lambda _, *arguments, **named: interrupted(*arguments, **named))
    seams.IMPORT_WORKERS.plant(monkeypatch, 1)
    stopped = app.test_cli_runner().invoke(args=["sessions", "import"])
    assert "2 of 3 are done: run the same command again.\n" in stopped.output
    monkeypatch.undo()
    done = app.test_cli_runner().invoke(args=["sessions", "import"]).output
    assert done == "Took over 1 session; 2 were before, 0 ended, 0 cannot be read.\n"


def test_the_doctor_says_when_it_can_be_disabled(make: Make) -> None:
    """The report has a row while sessions are left, and the line to set when none is."""

    def row(app: Flask) -> tuple[str, str]:
        (found,) = [each for each in examine(app).rows if each.name == "imported"]
        return found.status, found.change

    app = make()
    assert row(app) == ("met", "")
    for old_id in _IDS:
        shown(app, old_id)
    assert row(app) == ("manual", "SESSION_IMPORT = False after PERMANENT_SESSION_LIFETIME")
    assert not [each for each in examine(make(SESSION_IMPORT=False)).rows if each.name == "imported"]


@pytest.mark.parametrize("seal", ["keys", "cookie", "mac"])
def test_sealed(make: Make, seal: str) -> None:
    """With seal keys what is taken over is sealed, and so is what leads to it."""
    app = make(SESSION_SEAL=seal, SESSION_SEAL_KEYS=[hashlib.sha256(b"made up").digest()])
    first = with_cookie(app, _IDS[2])
    assert "Ida" in first.get("/values").text
    assert "Ida" in shown(app, _IDS[2])
    store = directory(app.extensions["holdfast"].manager).store
    assert {record.data[0] for _, record in store.scan().items} == {4, 5}  # type: ignore[attr-defined]


def test_the_old_id_leads_on_until_the_new_token_was_presented(make: Make) -> None:
    """After the grace period of the first request with the new token, the old id is no session, and stays none."""
    clock = FakeClock(system_clock())
    app = make(lambda app: Session(app, clock=clock))
    browser = with_cookie(app, _IDS[2])
    assert "Ida" in browser.get("/values").text
    clock.advance(3600)
    assert "Ida" in shown(app, _IDS[2])
    assert "Ida" in browser.get("/values").text
    clock.advance(31)
    assert "Ida" not in shown(app, _IDS[2])
    clock.advance(2 * 86_400)
    assert "Ida" not in shown(app, _IDS[2])
    assert "Ida" in browser.get("/values").text


def test_a_place_that_has_none_is_an_error(make: Make) -> None:
    """A store that Flask-Session has no sessions beside is refused at the start, and so are sessions in the cookie."""
    with pytest.raises(ConfigurationError, match=r"SESSION_IMPORT is 'flask-session': .*SQLiteStore"):
        make(SESSION_STORE="sqlite:///sessions.db")
    with pytest.raises(ConfigurationError, match="SESSION_IMPORT is for stored sessions"):
        make(SESSION_STORE="cookie://")
    with pytest.raises(ConfigurationError, match="SESSION_IMPORT is 'django'"):
        make(SESSION_IMPORT="django")


def test_a_wrong_table_or_prefix_is_named_where_nothing_is_left(make: Make, tmp_path: Path) -> None:
    """Without Flask-Session's table, or with another prefix, nothing is there, and both commands say where that is."""
    for config in (
        {"SESSION_STORE": f"sqlite+pysqlite:///{tmp_path}/other.db"},
        {"SESSION_IMPORT_TABLE": "other"},
        {"SESSION_KEY_PREFIX": "other:"},
    ):
        app = make(**config)
        assert "Ida" not in shown(app, _IDS[2])
        (row,) = [each for each in examine(app).rows if each.name == "imported"]
        for text in (row.found, *(app.test_cli_runner().invoke(args=["sessions", *args]).output for args in _IMPORTS)):
            assert f"begins with {app.config.get('SESSION_KEY_PREFIX', 'session:')!r}" in text
            assert "SESSION_IMPORT_TABLE" in text
    for args in _IMPORTS:
        assert "begins" not in make().test_cli_runner().invoke(args=["sessions", *args]).output
