"""Flask-Security with sessions on the server. Holdfast needs one import and one line.

Run it: ``pip install holdfast Flask-Security Flask-SQLAlchemy``, then ``SECRET_KEY=$(openssl rand -hex 32) flask run``.
Sign in at /login as ada@example.com with the password "correct horse battery".
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from flask_security import (
    RoleMixin,
    Security,
    SQLAlchemyUserDatastore,
    UserMixin,
    auth_required,
    current_user,
    hash_password,
)
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy

from holdfast.flask import Session


def create_app(**config: Any) -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.config.from_mapping(
        {
            "SECRET_KEY": os.environ.get("SECRET_KEY"),
            "SECURITY_PASSWORD_SALT": os.environ.get("SECURITY_PASSWORD_SALT", "20 characters at the least"),
            "SECURITY_PASSWORD_HASH": "pbkdf2_sha512",  # the default, argon2, needs another package
            "SQLALCHEMY_DATABASE_URI": "sqlite:///users.db",
            **config,
        }
    )
    Session(app)
    db: Any = SQLAlchemy(app)
    fsqla_v3.FsModels.set_db_info(db)

    class Role(db.Model, fsqla_v3.FsRoleMixin, RoleMixin):  # type: ignore[misc]  # Flask-Security ships no types
        """A role of users."""

    class User(db.Model, fsqla_v3.FsUserMixin, UserMixin):  # type: ignore[misc]
        """A user with a password."""

    app.security = Security(app, SQLAlchemyUserDatastore(db, User, Role))  # type: ignore[attr-defined]

    with app.app_context():
        db.create_all()
        users = app.security.datastore  # type: ignore[attr-defined]
        if users.find_user(email="ada@example.com") is None:
            users.create_user(email="ada@example.com", password=hash_password("correct horse battery"))
            db.session.commit()

    @app.get("/")
    @auth_required("session")
    def home() -> str:
        return f"Hello, {current_user.email}"

    return app
