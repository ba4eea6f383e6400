"""The manager that an application's settings ask for."""

from __future__ import annotations

import hmac
import logging
import warnings
from typing import Any
from weakref import ref

from flask import Flask

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError
from holdfast.flask.sealers import build_sealer, seal_keys
from holdfast.flask.settings import secret_keys
from holdfast.flask.settings.table import configured_codec, policy_reader
from holdfast.flask.stores import build_store, store_from
from holdfast.metrics.observer import Observers
from holdfast.records.encryption import Keyring, require_cryptography
from holdfast.records.tokens import Keys
from holdfast.sessions.manager import Manager
from holdfast.stores.contract import Indexes, Store

#: The ``SESSION_STORE`` that is none: sessions live in the cookie.
CLIENT_SIDE = "cookie://"

_logger = logging.getLogger("holdfast")


def build_manager(app: Flask, clock: Clock, observers: Observers | None) -> Manager | None:
    """Return the manager of the application's sessions, or None where they stay in Flask's signed cookie.

    Raises:
        ConfigurationError: A setting is wrong or missing.
    """
    shared: dict[str, Any] = {
        "policy": policy_reader(app),
        "keys": Keys(app.config["SESSION_KEY_PREFIX"], owner_secret=app.config["SESSION_OWNER_KEY"]),
        "codec": configured_codec(app),
        "clock": clock,
        "observer": observers,
        "sender": ref(app),  # an application is freed as soon as nobody holds it, as without an extension
    }
    if app.config["SESSION_STORE"] == CLIENT_SIDE:
        return _client_side(app, clock, shared)
    if app.config["SESSION_REVOCATION_STORE"] is not None:
        raise ConfigurationError(
            f"SESSION_REVOCATION_STORE is for SESSION_STORE={CLIENT_SIDE!r}: a store of sessions needs no other"
        )
    store = build_store(app, clock)
    if store is None:
        if observers is not None:
            warnings.warn("an observer has no effect: the sessions live in the cookie", stacklevel=4)
        return None
    manager = Manager(store, sealer=build_sealer(app, clock), **shared)
    if not manager.context.store_can(Indexes):
        _tell_of_no_index(app, store)
        _refuse_limit(app, type(store).__name__)
    return manager


def _client_side(app: Flask, clock: Clock, shared: dict[str, Any]) -> Manager:
    if app.config.get("SESSION_TYPE") is not None:
        raise ConfigurationError(f"SESSION_STORE and SESSION_TYPE={app.config['SESSION_TYPE']!r} are both set")
    if app.config["SESSION_SEAL"] is not None or app.config["SESSION_USE_SIGNER"]:
        raise ConfigurationError(
            f"SESSION_SEAL and SESSION_USE_SIGNER are for stored sessions: a {CLIENT_SIDE} session is always encrypted"
        )
    _refuse_limit(app, CLIENT_SIDE)
    require_cryptography()
    from holdfast.sessions.cookie_manager import ClientSide

    given = app.config["SESSION_REVOCATION_STORE"]
    store = store_from(app, "SESSION_REVOCATION_STORE", given, clock) if given is not None else None
    if store is None:
        _logger.warning(
            "sessions live in the browsers' cookies: a logout ends a session in its browser only, and a copy of the"
            " cookie goes on. Set SESSION_REVOCATION_STORE to end it everywhere"
        )
    name = app.config["SESSION_COOKIE_NAME"]
    return ClientSide(_keyring(app), name=name, store=store, **shared)


def _keyring(app: Flask) -> Keyring:
    """Return ``SESSION_SEAL_KEYS``, or keys that are made from ``SECRET_KEY`` and its fallbacks."""
    given = seal_keys(app)
    if given:
        try:
            return Keyring(given)
        except ConfigurationError as error:
            raise ConfigurationError(f"SESSION_SEAL_KEYS cannot be used: {error}") from error
    secrets = secret_keys.signing_keys(app, needed_by=f"SESSION_STORE={CLIENT_SIDE!r}")
    secret_keys.check(app, secrets, guarded="the sessions in cookies")
    raw = [key.encode() if isinstance(key, str) else key for key in secrets]
    return Keyring([hmac.digest(key, b"holdfast cookie key", "sha256") for key in raw])


def _refuse_limit(app: Flask, where: str) -> None:
    limit = app.config["SESSION_MAX_PER_USER"]
    if limit is not None:
        raise ConfigurationError(
            f"SESSION_MAX_PER_USER is {limit}, but {where} keeps no index by owner, so a user's sessions cannot be"
            " counted: use a store that has one, or unset it, under a profile by naming it in SESSION_PROFILE_EXCEPT"
        )


def _tell_of_no_index(app: Flask, store: Store) -> None:
    kind = type(store).__name__
    _logger.info("%s keeps no index by owner: a user's sessions can be neither listed nor ended together", kind)
    if app.config["SESSION_OWNER_KEY"] is not None:
        warnings.warn(f"SESSION_OWNER_KEY is set, but {kind} keeps no index by owner: it has no effect", stacklevel=6)
