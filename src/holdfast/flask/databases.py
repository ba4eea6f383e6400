"""Engines of Flask-SQLAlchemy's ``db``, which is told by what it has, and of its settings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, current_app, has_app_context

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError
from holdfast.stores.contract import Store


def has_engines(client: object) -> bool:
    """Tell whether *client* is like Flask-SQLAlchemy's ``db``, without asking it for an engine."""
    names = ("engine", "engines")
    return not isinstance(client, type) and all(inspect.getattr_static(client, name, None) for name in names)


def store_on_db(app: Flask, db: Any, *, bind_key: str | None = None, clock: Clock, **options: Any) -> Store:
    """Return a store on the engine that *db* has for *app* when it is first used."""
    store: Store = _stores().SQLStore(_engine_finder(app, db, bind_key), clock=clock, **options)
    return store


def store_at_uri(app: Flask, *, bind_key: str | None, clock: Clock, **options: Any) -> Store:
    """Return a store on an engine of its own, by the settings that Flask-SQLAlchemy has.

    Raises:
        ConfigurationError: They name no database.
    """
    name = "SQLALCHEMY_DATABASE_URI"
    uri = app.config.get(name)
    if bind_key is not None:
        name = f"SQLALCHEMY_BINDS[{bind_key!r}]"
        uri = (app.config.get("SQLALCHEMY_BINDS") or {}).get(bind_key)
    engine_options = dict(app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {})
    if isinstance(uri, dict):
        engine_options = {**uri}
        uri = engine_options.pop("url", None)
    if not uri:
        raise ConfigurationError(
            f"SESSION_TYPE is 'sqlalchemy', and neither SESSION_SQLALCHEMY nor {name} is set: set one of them"
        )
    try:
        store: Store = _stores().SQLStore.from_url(
            uri, root=Path(app.instance_path), engine_options=engine_options, clock=clock, **options
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    return store


def _engine_finder(app: Flask, db: Any, bind_key: str | None) -> Callable[[], Any]:
    def look() -> Any:
        try:
            return db.engine if bind_key is None else db.engines[bind_key]
        except KeyError:
            raise ConfigurationError(
                f"SESSION_SQLALCHEMY_BIND_KEY is {bind_key!r}, and there is no such bind: set it in SQLALCHEMY_BINDS"
            ) from None
        except RuntimeError as error:
            raise ConfigurationError(
                f"the database for sessions is not set up for the application {app.name!r}: call db.init_app(app)"
            ) from error

    def find() -> Any:
        if has_app_context() and current_app == app:
            return look()
        with app.app_context():
            return look()

    return find


def _stores() -> Any:
    try:
        return importlib.import_module("holdfast.stores.sql")
    except ImportError as error:
        raise ConfigurationError(
            "SESSION_TYPE 'sqlalchemy' needs SQLAlchemy 2, which is not installed: pip install 'holdfast[sql]'"
        ) from error
