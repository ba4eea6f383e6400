"""Two applications move by changing the import alone: on PostgreSQL with Flask-SQLAlchemy, and on Redis with an ACL."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from moving_in.conftest import cookie_of, with_cookie
from moving_in.old_application import application
from support.servers import Server

from holdfast.flask import Session
from holdfast.sessions.manager import directory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: Makes the application, given the extension's class.
Make = Callable[[Any], Flask]


def assert_moves(make: Make) -> Flask:
    """Assert that users of *make*'s application on Flask-Session go on, sign out and in on Holdfast; return that."""
    before = make(pytest.importorskip("flask_session").Session)
    users = {}
    # The server has the users of other tests.
    ada_name, eve_name = (f"{name}-{secrets.token_hex(4)}" for name in ("ada", "eve"))
    for name in (ada_name, eve_name):
        signed_in = before.test_client()
        signed_in.get(f"/login/{name}")
        users[name] = cookie_of(signed_in), signed_in.get("/values").text
    after = make(Session)
    for name, (cookie, values) in users.items():
        browser = with_cookie(after, cookie)
        assert (browser.get("/me").text, browser.get("/values").text) == (name, values)
    sessions = directory(after.extensions["holdfast"].manager)
    assert [len(sessions.of(name)) for name in users] == [1, 1]
    assert sessions.revoke_all(eve_name) == 1
    ada = with_cookie(after, users[ada_name][0])
    ada.get("/logout")
    assert [with_cookie(after, cookie).get("/me").text for cookie, _ in users.values()] == ["None", "None"]
    ada.get(f"/login/{ada_name}")
    assert ada.get("/me").text == ada_name
    return after


@pytest.mark.postgresql
def test_flask_sqlalchemy_on_postgresql(postgresql_url: str, apps: list[Flask], tmp_path: Path) -> None:
    """The application has models and rows of its own; the old table and they stay as they were."""

    def make(extension: Any) -> Flask:
        db = SQLAlchemy()

        class Order(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes the base at run time
            id = sa.Column(sa.Integer, primary_key=True)
            text = sa.Column(sa.String)

        config = {"SESSION_TYPE": "sqlalchemy", "SESSION_SQLALCHEMY": db, "SQLALCHEMY_DATABASE_URI": postgresql_url}
        app = application(extension, {**config, "db": db.init_app, "INSTANCE_PATH": str(tmp_path)})
        with app.app_context():
            db.create_all()
            db.session.add(Order(text=extension.__module__))
            db.session.commit()
        apps.append(app)
        return app

    app = assert_moves(make)
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        assert {"sessions", "holdfast_sessions", "order"} <= set(sa.inspect(engine).get_table_names())
        with engine.connect() as connection:
            assert connection.exec_driver_sql('SELECT count(*) FROM "order"').scalar() == 2
            assert connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar() == 2


@pytest.fixture
def restricted(redis_server: Server) -> Iterator[Any]:
    """A client of Redis that may use the keys of its prefix alone, as a new user."""
    name = f"shop-{secrets.token_hex(4)}"
    with redis.Redis(*redis_server.address) as admin:
        admin.acl_setuser(name, enabled=True, passwords=["+word"], keys=["session:*"], categories=["+@all"])
        with closing(redis.Redis(*redis_server.address, username=name, password="word")) as client:
            yield client
        admin.acl_deluser(name)


@pytest.mark.redis
def test_redis_with_an_acl_for_the_prefix(restricted: Any, apps: list[Flask], tmp_path: Path) -> None:
    """No other key is used: not for a record, an index, a cut-off or a tombstone."""
    with pytest.raises(redis.exceptions.NoPermissionError):
        restricted.get("other")

    def make(extension: Any) -> Flask:
        config = {"SESSION_TYPE": "redis", "SESSION_REDIS": restricted}
        apps.append(application(extension, {**config, "INSTANCE_PATH": str(tmp_path)}))
        return apps[-1]

    assert_moves(make)
