"""Which store an application's settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError
from holdfast.flask.databases import has_engines, store_on_db
from holdfast.flask.settings import flask_session_compat as flask_session
from holdfast.stores.contract import Store
from holdfast.stores.registry import open_store, store_for

_DEFAULT = "sqlite:///sessions.db"


def build_store(app: Flask, clock: Clock) -> Store | None:
    """Return the store that the settings name, or None where sessions stay in Flask's signed cookie.

    Raises:
        ConfigurationError: The store is not one, two are named, or its files would be served as static ones.
    """
    given, type_ = app.config["SESSION_STORE"], app.config.get("SESSION_TYPE")
    if type_ is not None and given is not None:
        raise ConfigurationError(f"SESSION_STORE and SESSION_TYPE={type_!r} are both set: remove one of them")
    try:
        if type_ is None:
            return store_from(app, "SESSION_STORE", given or _DEFAULT, clock)
        store = flask_session.build_store(app, clock)
    except ConfigurationError as error:
        if "SESSION_" in str(error):
            raise
        raise ConfigurationError(f"SESSION_TYPE={type_!r}: {error}") from error
    if store is not None:
        _refuse_served(app, store)
    return store


def store_from(app: Flask, setting: str, given: Any, clock: Clock) -> Store:
    """Return the store that the value *given* for *setting* names or is.

    Raises:
        ConfigurationError: It is none, or its files would be served as static ones.
    """
    try:
        store = _named(app, given, clock)
    except ConfigurationError as error:
        raise ConfigurationError(f"{setting}: {error}") from error
    _refuse_served(app, store)
    return store


def _named(app: Flask, given: Any, clock: Clock) -> Store:
    if isinstance(given, str):
        return open_store(given, root=app.instance_path, clock=clock)
    if has_engines(given):
        return store_on_db(app, given, clock=clock)
    if not isinstance(given, type):
        made = store_for(given, clock=clock)
        if made is not None:
            return made
        if all(callable(getattr(given, name, None)) for name in ("load", "create", "replace", "touch", "delete")):
            return given  # type: ignore[no-any-return]  # told by its methods
    kind = f"the class {given.__name__}" if isinstance(given, type) else f"of the type {type(given).__name__}"
    raise ConfigurationError(
        f"it is {kind}: it must be a URL such as 'sqlite:///sessions.db', a Store, or a client such as redis.Redis"
    )


def _refuse_served(app: Flask, store: Store) -> None:
    path = getattr(store, "path", None)
    if path is None or app.static_folder is None:
        return
    if Path(path).resolve().is_relative_to(Path(app.static_folder).resolve()):
        raise ConfigurationError(f"sessions in {path} would be served with the static files: put them elsewhere")
