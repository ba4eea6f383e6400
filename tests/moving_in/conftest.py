"""The places of Flask-Session, on real servers, and an application on Flask-Session and on Holdfast in each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from moving_in.old_application import application, close
from werkzeug.test import Client

from holdfast.flask import Session
from holdfast.sessions.directory import directory

#: Returns new settings, with clients of its own, for one application.
Settings = Callable[[], dict[str, Any]]


def _redis(request: pytest.FixtureRequest, made: list[Any]) -> dict[str, Any]:
    import redis

    made.append(redis.Redis(*request.getfixturevalue("redis_server").address))
    return {"SESSION_TYPE": "redis", "SESSION_REDIS": made[-1]}


def _memcached(request: pytest.FixtureRequest, made: list[Any]) -> dict[str, Any]:
    import pymemcache

    made.append(pymemcache.PooledClient(request.getfixturevalue("memcached_server").address))
    return {"SESSION_TYPE": "memcached", "SESSION_MEMCACHED": made[-1]}


def _mongodb(request: pytest.FixtureRequest, made: list[Any]) -> dict[str, Any]:
    import pymongo

    made.append(pymongo.MongoClient(*request.getfixturevalue("mongodb_server").address))
    return {"SESSION_TYPE": "mongodb", "SESSION_MONGODB": made[-1]}


def _filesystem(request: pytest.FixtureRequest, _made: list[Any]) -> dict[str, Any]:
    return {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(request.getfixturevalue("tmp_path") / "files")}


def _cachelib(request: pytest.FixtureRequest, _made: list[Any]) -> dict[str, Any]:
    from cachelib import FileSystemCache

    folder = request.getfixturevalue("tmp_path") / "cache"
    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": FileSystemCache(str(folder))}


def _cachelib_redis(request: pytest.FixtureRequest, made: list[Any]) -> dict[str, Any]:
    from cachelib import RedisCache

    return {
        "SESSION_TYPE": "cachelib",
        "SESSION_CACHELIB": RedisCache(_redis(request, made)["SESSION_REDIS"], key_prefix="cache:"),
    }


def _sql(url: str) -> Callable[[pytest.FixtureRequest, list[Any]], dict[str, Any]]:
    def settings(request: pytest.FixtureRequest, _made: list[Any]) -> dict[str, Any]:
        from flask_sqlalchemy import SQLAlchemy

        db = SQLAlchemy()
        config = {"SESSION_TYPE": "sqlalchemy", "SESSION_SQLALCHEMY": db, "db": db.init_app}
        return {**config, "SQLALCHEMY_DATABASE_URI": request.getfixturevalue(url)}

    return settings


KINDS: dict[str, Callable[[pytest.FixtureRequest, list[Any]], dict[str, Any]]] = {
    "redis": _redis,
    "memcached": _memcached,
    "filesystem": _filesystem,
    "mongodb": _mongodb,
    "sqlite": _sql("sqlite_url"),
    "postgresql": _sql("postgresql_url"),
    "mariadb": _sql("mariadb_url"),
    "cachelib": _cachelib,
    "cachelib_redis": _cachelib_redis,
}
_MARKED = {"redis", "memcached", "mongodb", "postgresql", "mariadb"}


@pytest.fixture(
    params=[
        pytest.param(kind, marks=getattr(pytest.mark, kind.removeprefix("cachelib_")))
        if kind.removeprefix("cachelib_") in _MARKED
        else kind
        for kind in KINDS
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Return a function that returns settings for one place of Flask-Session, of each kind by turns."""
    made: list[Any] = []
    prefix = f"{secrets.token_hex(4)}:"

    def settings() -> dict[str, Any]:
        config = KINDS[request.param](request, made)
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
    import flask_session

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
