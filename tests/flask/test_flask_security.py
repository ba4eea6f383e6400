"""Flask-Security's logins, logouts and changed passwords, with its applications as they are."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.web import SECRET_KEY

from holdfast.flask import Session

pytestmark = pytest.mark.skipif(find_spec("flask_security") is None, reason="Flask-Security needs Flask 3")

USER = "ada.lovelace@example.org"


@pytest.fixture
def secured() -> Iterator[Flask]:
    """Return an application with Flask-Security, and one user in it."""
    from flask_sqlalchemy import SQLAlchemy

    app = Flask("secured")
    app.config.update(
        SECRET_KEY=SECRET_KEY,
        SESSION_STORE="memory://",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        SECURITY_PASSWORD_SALT="made up",
        SECURITY_PASSWORD_HASH="plaintext",
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        WTF_CSRF_ENABLED=False,
    )
    db = SQLAlchemy(app)
    flask_security: Any = importlib.import_module("flask_security")
    fsqla_v3: Any = importlib.import_module("flask_security.models.fsqla_v3")
    fsqla_v3.FsModels.set_db_info(db)
    role = type("Role", (db.Model, fsqla_v3.FsRoleMixin), {})
    user = type("User", (db.Model, fsqla_v3.FsUserMixin), {})
    datastore: Any = flask_security.SQLAlchemyUserDatastore(db, user, role)
    flask_security.Security(app, datastore)
    Session(app)
    with app.app_context():
        db.create_all()
        datastore.create_user(email=USER, password="old secret")
        datastore.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def listed(app: Flask) -> list[Any]:
    """Return the user's sessions, as Flask-Security's id finds them."""
    with app.app_context():
        user = app.extensions["security"].datastore.find_user(email=USER)
        found: list[Any] = app.extensions["holdfast"].of(user.get_id())
    return found


def enter(app: Flask) -> FlaskClient:
    """Sign the user in, and return the browser."""
    browser = app.test_client()
    assert browser.post("/login", data={"email": USER, "password": "old secret"}).status_code in {302, 303}
    return browser


def test_login_and_logout(secured: Flask) -> None:
    """A login by Flask-Security's form is listed under the user's id, and a logout there takes it off the list."""
    browsers = [enter(secured), enter(secured)]
    assert len(listed(secured)) == 2
    browsers[0].post("/logout")
    assert len(listed(secured)) == 1


def test_a_changed_password(secured: Flask) -> None:
    """After a password is changed there, the other sessions are signed out, and the one that did it is listed anew."""
    browsers = [enter(secured), enter(secured)]
    form = {"password": "old secret", "new_password": "new secret", "new_password_confirm": "new secret"}
    assert browsers[0].post("/change", data=form).status_code in {302, 303}
    assert [browser.get("/change").status_code == 200 for browser in browsers] == [True, False]
    assert len(listed(secured)) == 1
