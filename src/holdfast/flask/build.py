"""From the settings to the manager of an application's sessions: its store, its keys, its sealer."""

from __future__ import annotations

import hmac
import inspect
import logging
import pkgutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from weakref import ref

from flask import Flask, current_app, has_app_context, json

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError, cannot_import, saying
from holdfast.flask.answers import answerable
from holdfast.flask.settings import flask_session_compat as flask_session
from holdfast.flask.settings import secret_keys
from holdfast.flask.settings.loading import LiveSettings, Settings
from holdfast.flask.settings.setting import warn
from holdfast.metrics.observer import Observers
from holdfast.records.codec.registry import use_json_form
from holdfast.records.encryption import Keyring, Sealer, require_cryptography
from holdfast.records.tokens import Keys
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import SKEW
from holdfast.sessions.requests import Requests
from holdfast.stores.contract import Indexes, Store
from holdfast.stores.registry import open_store, store_for, store_on

#: The ``SESSION_STORE`` that is none: sessions live in the cookie.
CLIENT_SIDE = "cookie://"

_logger = logging.getLogger("holdfast")


def build_manager(app: Flask, live: LiveSettings, clock: Clock, observers: Observers | None) -> Requests | None:
    """Return the manager of the application's sessions, or None where they stay in Flask's signed cookie."""
    settings = live.current
    if (settings.policy.not_before or 0) > clock() + SKEW:
        raise ConfigurationError(
            f"SESSION_NOT_BEFORE is {app.config['SESSION_NOT_BEFORE']!r}, in the future, and would end every new "
            "session too: set it to a moment that has passed"
        )
    use_json_form(lambda value: json.loads(json.dumps(value)))  # as Flask's signed cookie would keep it
    shared: dict[str, Any] = {
        "policy": settings.policy,
        "keys": Keys(settings.namespace, owner_secret=settings.owner_key),
        "codec": settings.codec,
        "clock": clock,
        "observer": observers,
        "raised": answerable,
        "sender": ref(app),  # weak, so that an application is freed as it would be without an extension
    }
    if settings.imports is not None and settings.store == CLIENT_SIDE:
        raise ConfigurationError(f"SESSION_IMPORT is for stored sessions, and SESSION_STORE is {CLIENT_SIDE!r}")
    if settings.store == CLIENT_SIDE:
        return _client_side(app, settings, clock, shared)
    if settings.revocation_store is not None:
        raise ConfigurationError(
            f"SESSION_REVOCATION_STORE is for SESSION_STORE={CLIENT_SIDE!r}: a store of sessions needs no other"
        )
    store = _build_store(app, settings, clock)
    if store is None:
        _refuse_headers(settings, "SESSION_TYPE is 'null'")
        if observers is not None:
            warn("an observer has no effect: the sessions live in the cookie")
        return None
    if settings.imports is not None:
        from holdfast.flask.old_cookies import build_place

        shared["old_place"] = build_place(app, settings, store, clock)
    manager = Manager(store, sealer=_build_sealer(settings, clock), **shared)
    if Indexes not in manager.context.capabilities:
        _report_no_index(settings, type(store).__name__)
    return manager


def _report_no_index(settings: Settings, kind: str) -> None:
    _logger.info("%s keeps no index by owner: a user's sessions can be neither listed nor ended together", kind)
    if settings.owner_key is not None:
        warn(f"SESSION_OWNER_KEY is set, but {kind} keeps no index by owner: it has no effect")
    _refuse_limit(settings, kind)


def _refuse_headers(settings: Settings, reason: str) -> None:
    if settings.transport != "cookie":
        raise ConfigurationError(
            f"SESSION_TRANSPORT is {settings.transport!r}, and {reason}: tokens in headers need sessions in a store."
            " Set SESSION_STORE to one, or SESSION_TRANSPORT to 'cookie'"
        )


def _refuse_limit(settings: Settings, where: str) -> None:
    limit = settings.policy.max_per_user
    if limit is not None:
        raise ConfigurationError(
            f"SESSION_MAX_PER_USER is {limit}, but {where} keeps no index by owner, so a user's sessions cannot be"
            " counted: use a store that has one, or unset it, under a profile by naming it in SESSION_PROFILE_EXCEPT"
        )


# --- sessions in the cookie -------------------------------------------------------------------------------------------


def _client_side(app: Flask, settings: Settings, clock: Clock, shared: dict[str, Any]) -> Requests:
    if settings.seal is not None or settings.use_signer:
        raise ConfigurationError(
            f"SESSION_SEAL and SESSION_USE_SIGNER are for stored sessions: a {CLIENT_SIDE} session is always encrypted"
        )
    _refuse_headers(settings, f"SESSION_STORE is {CLIENT_SIDE!r}")
    _refuse_limit(settings, CLIENT_SIDE)
    require_cryptography()
    from holdfast.sessions.cookie_manager import CookieManager, RevocableCookieManager

    keyring, given = _keyring(app, settings), settings.revocation_store
    names = (settings.cookie.name, *settings.cookie.old_names)
    if given is None:
        _logger.warning(
            "sessions live in the browsers' cookies: a logout ends a session in its browser only, and a copy of the"
            " cookie goes on. Set SESSION_REVOCATION_STORE to end it everywhere"
        )
        return CookieManager(keyring, names=names, **shared)
    store = _store_from(app, "SESSION_REVOCATION_STORE", lambda: _named(app, given, clock))
    if getattr(store, "evicts", False):
        raise ConfigurationError(
            f"SESSION_REVOCATION_STORE: {type(store).__name__} drops records when its memory is full and at a restart,"
            " and copies of an ended session's cookie would work again: choose another store"
        )
    return RevocableCookieManager(keyring, names=names, store=store, **shared)


def _keyring(app: Flask, settings: Settings) -> Keyring:
    """Return ``SESSION_SEAL_KEYS``, or keys that are made from ``SECRET_KEY`` and its fallbacks."""
    if settings.seal_keys:
        with saying("SESSION_SEAL_KEYS cannot be used:"):
            return Keyring(settings.seal_keys)
    secrets = secret_keys.signing_keys(app, needed_by=f"SESSION_STORE={CLIENT_SIDE!r}")
    secret_keys.check(app, secrets, guarded="the sessions in cookies")
    raw = [key.encode() if isinstance(key, str) else key for key in secrets]
    return Keyring([hmac.digest(key, b"holdfast cookie key", "sha256") for key in raw])


# --- sealed records ---------------------------------------------------------------------------------------------------


def _build_sealer(settings: Settings, clock: Clock) -> Sealer | None:
    """Return what seals the records, or None where they are stored as they are."""
    until = settings.seal_migrate_until
    if settings.seal is None and not settings.seal_keys:
        if until is not None:
            raise ConfigurationError(
                "SESSION_SEAL_MIGRATE_UNTIL is set without SESSION_SEAL_KEYS: set both, or neither"
            )
        return None
    how = settings.seal or "keys"
    if until is not None:
        # Sessions from before the first start with keys have ended by then.
        until = min(until, clock() + settings.policy.absolute)
        if clock() < until:
            _logger.warning(
                "SESSION_SEAL_MIGRATE_UNTIL is ahead: until then, at most SESSION_ABSOLUTE_LIFETIME from now, records"
                " that are not sealed are read, so a client that can write to the store can make a session. Unset it as"
                " soon as the sessions from before have ended"
            )
    with saying(f"SESSION_SEAL is {how!r}, and SESSION_SEAL_KEYS cannot be used:"):
        keys, namespace = settings.seal_keys or (), settings.namespace
        return Sealer(how, keys, migrate_until=until, namespace=namespace, clock=clock)


# --- the store --------------------------------------------------------------------------------------------------------


def _build_store(app: Flask, settings: Settings, clock: Clock) -> Store | None:
    """Return the store that the settings name, or None where sessions stay in Flask's signed cookie."""
    if settings.store is not None:
        return _store_from(app, "SESSION_STORE", lambda: _named(app, settings.store, clock))
    choice = flask_session.chosen_store(app.config)
    if choice is None:
        _logger.warning(
            "SESSION_TYPE is 'null': sessions live in Flask's signed cookie, and a logout does not end the copies of"
            " one. Set SESSION_STORE to keep sessions where they can be ended."
        )
        return None
    return _store_from(app, choice.setting, lambda: _chosen(app, choice, clock), choice.hint)


def _store_from(app: Flask, setting: str, make: Callable[[], Store], hint: str = "") -> Store:
    """Return the store that *make* returns for *setting*, which its errors name, with *hint* at their ends."""
    with saying(f"{setting}:", hint):
        store = make()
    _check_place(app, setting, store)
    return store


def _named(app: Flask, given: Any, clock: Clock) -> Store:
    if isinstance(given, str):
        return open_store(given, root=app.instance_path, clock=clock)
    if _has_engines(given):
        return _store_on_db(app, given, clock=clock)
    if not isinstance(given, type):
        made = store_for(given, clock=clock)
        if made is not None:
            return made
        if all(callable(getattr(given, name, None)) for name in ("load", "create", "replace", "touch", "delete")):
            return given  # type: ignore[no-any-return]  # its methods have been looked at
    kind = f"the class {given.__name__}" if isinstance(given, type) else f"of the type {type(given).__name__}"
    raise ConfigurationError(
        f"it is {kind}: it must be a URL such as 'sqlite:///sessions.db', a Store, or a client such as redis.Redis"
    )


def _chosen(app: Flask, choice: flask_session.StoreChoice, clock: Clock) -> Store:
    options = {**choice.options, "clock": clock}
    if not choice.store_class:
        return open_store(choice.url, root=app.instance_path, clock=clock)
    if _has_engines(choice.client):
        return _store_on_db(app, choice.client, bind_key=choice.bind_key, **options)
    store_class = _store_class(choice.store_class)
    if choice.url is None:
        return store_on(store_class, choice.client, **options)
    store: Store = store_class.from_url(choice.url, root=Path(app.instance_path), **options)
    return store


def refuse_served(app: Flask, setting: str, path: Path) -> None:
    """Refuse a *path* in a folder that the application, or one of its blueprints, serves static files from."""
    for scaffold in (app, *app.blueprints.values()):
        folder = scaffold.static_folder
        if folder is not None and path.resolve().is_relative_to(Path(folder).resolve()):
            whose = "" if scaffold is app else f" of the blueprint {scaffold.name!r}"
            raise ConfigurationError(
                f"{setting}: sessions in {path} would be served with the static files{whose}: put them elsewhere"
            )


def _check_place(app: Flask, setting: str, store: Store) -> None:
    """Refuse a path, of a store that has one, that is served with the static files, or that cannot be written to."""
    given = getattr(store, "path", None)
    if given is None:
        return
    from holdfast.stores.shared.disk import why_unusable

    path = Path(given)
    refuse_served(app, setting, path)
    if (reason := why_unusable(path)) is not None:
        raise ConfigurationError(f"{setting}: sessions cannot be kept in {path}: {reason}. Choose another place")


# --- engines of Flask-SQLAlchemy --------------------------------------------------------------------------------------


def _has_engines(client: object) -> bool:
    """Return whether *client* is like Flask-SQLAlchemy's ``db``, without asking it for an engine."""
    names = ("engine", "engines")
    return not isinstance(client, type) and all(inspect.getattr_static(client, name, None) for name in names)


def _store_on_db(app: Flask, db: Any, *, bind_key: str | None = None, clock: Clock, **options: Any) -> Store:
    """Return a store on the engine that *db* has for *app* when it is first used."""
    store: Store = _store_class("sql:SQLStore")(_engine_finder(app, db, bind_key), clock=clock, **options)
    return store


def _engine_finder(app: Flask, db: Any, bind_key: str | None) -> Callable[[], Any]:
    def find() -> Any:
        with nullcontext() if has_app_context() and current_app == app else app.app_context():
            try:
                return db.engine if bind_key is None else db.engines[bind_key]
            except KeyError:
                raise ConfigurationError(
                    f"SESSION_SQLALCHEMY_BIND_KEY is {bind_key!r}, and there is no such bind: set it in"
                    " SQLALCHEMY_BINDS"
                ) from None
            except RuntimeError as error:
                raise ConfigurationError(
                    f"the database for sessions is not set up for the application {app.name!r}: call db.init_app(app)"
                ) from error

    return find


def _store_class(name: str) -> Any:
    try:
        return pkgutil.resolve_name(f"holdfast.stores.{name}")
    except ImportError as error:
        extra = name.partition(":")[0]
        raise cannot_import(error, "it", f": pip install 'holdfast[{extra}]'") from error
