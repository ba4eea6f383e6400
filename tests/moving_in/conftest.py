"""The places of Flask-Session, on real servers, and an application on Flask-Session and on Holdfast in each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from moving_in.old_application import application, close
from moving_in.places import KINDS, clients_in
from werkzeug.test import Client

from holdfast.flask import Session
from holdfast.sessions.manager import directory

#: Returns new settings, with clients of its own, for one application.
Settings = Callable[[], dict[str, Any]]


_SERVERS = {"redis", "memcached", "mongodb", "dynamodb", "postgresql", "mariadb"}


def _where(request: pytest.FixtureRequest, need: str) -> Any:
    """Return where the server, the database or the folder is that a kind needs."""
    if need == "folder":
        return request.getfixturevalue("tmp_path")
    if need in {"sqlite", "postgresql", "mariadb"}:
        return request.getfixturevalue(f"{need}_url")
    return request.getfixturevalue(f"{need}_server").address


@pytest.fixture(
    params=[
        pytest.param(kind, marks=[getattr(pytest.mark, need)] if need in _SERVERS else [])
        for kind, (_, need) in KINDS.items()
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Return a function that returns settings for one place of Flask-Session, of each kind by turns."""
    made: list[Any] = []
    prefix = f"{secrets.token_hex(4)}:"
    of_kind, need = KINDS[request.param]
    where = _where(request, need)

    def settings() -> dict[str, Any]:
        config = of_kind(where)
        made.extend(clients_in(config))
        return {**config, "SESSION_KEY_PREFIX": prefix, "INSTANCE_PATH": str(tmp_path / "instance")}

    yield settings
    for client in made:
        client.close()


@pytest.fixture
def apps() -> Iterator[list[Flask]]:
    """Return a list of applications, whose stores and engines are closed after the test."""
    made: list[Flask] = []
    yield made
    for app in made:
        close(app)
        if "holdfast" in app.extensions:
            getattr(directory(app.extensions["holdfast"].manager).store, "close", lambda: None)()


@pytest.fixture
def old(settings: Settings, apps: list[Flask]) -> Callable[..., Flask]:
    """Return a function that makes the application on Flask-Session of the lock."""
    flask_session = pytest.importorskip("flask_session")

    def old(**config: Any) -> Flask:
        apps.append(application(flask_session.Session, {**settings(), **config}))
        return apps[-1]

    return old


@pytest.fixture
def new(settings: Settings, apps: list[Flask]) -> Callable[..., Flask]:
    """Return a function that makes the same application with the import changed."""

    def new(**config: Any) -> Flask:
        apps.append(application(Session, {**settings(), **config}))
        return apps[-1]

    return new


def cookie_of(browser: Any) -> str:
    """Return the value of the session cookie of *browser*."""
    cookie = browser.get_cookie("session")
    assert cookie is not None
    return str(cookie.value)


def with_cookie(app: Flask, value: str) -> Client:
    """Return a browser that has the session cookie *value*, and loads pages."""
    browser = app.test_client()
    browser.environ_base["HTTP_SEC_FETCH_MODE"] = "navigate"
    browser.set_cookie("session", value)
    return browser
