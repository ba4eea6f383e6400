"""Holdfast's settings: their names, their defaults, and what is made of them."""

from __future__ import annotations

import difflib
import operator
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask

from holdfast.errors import ConfigurationError
from holdfast.flask import hardening
from holdfast.flask.settings import cookie_rules, profiles
from holdfast.flask.settings import flask_session_compat as flask_session
from holdfast.records.codec import Codec, codec_named
from holdfast.sessions.policy import Policy

_PREFIX = "SESSION_"

_BY_DEFAULT = Policy()

#: Every setting of Holdfast's own, with its default. Spans are seconds or a `datetime.timedelta`.
DEFAULTS: dict[str, Any] = {
    "SESSION_STORE": None,
    "SESSION_REVOCATION_STORE": None,
    "SESSION_PROFILE": None,
    "SESSION_PROFILE_EXCEPT": (),
    "SESSION_KEY_PREFIX": "session:",
    "SESSION_PERMANENT": _BY_DEFAULT.permanent,
    "SESSION_ABSOLUTE_LIFETIME": timedelta(milliseconds=_BY_DEFAULT.absolute),
    "SESSION_RENEWAL_INTERVAL": _BY_DEFAULT.renewal,
    "SESSION_ROTATION_GRACE": timedelta(milliseconds=_BY_DEFAULT.grace),
    "SESSION_ON_CONFLICT": _BY_DEFAULT.on_conflict,
    "SESSION_ON_STORE_ERROR": _BY_DEFAULT.on_store_error,
    "SESSION_SAVE_ON_ERROR": False,
    "SESSION_MAX_BYTES": _BY_DEFAULT.max_bytes,
    "SESSION_SERIALIZATION_FORMAT": "msgpack",
    "SESSION_OWNER_KEY": None,
    "SESSION_USE_SIGNER": False,
    "SESSION_CACHE_CONTROL": "private",
    "SESSION_CLEAR_SITE_DATA": False,
    "SESSION_REQUIRE_HTTPS": False,
    "SESSION_ON_DEVICE_CHANGE": None,
    "SESSION_KEEP_DEVICE": True,
    "SESSION_KEEP_ADDRESS": False,
    "SESSION_MAX_PER_USER": _BY_DEFAULT.max_per_user,
    "SESSION_ON_MAX_PER_USER": _BY_DEFAULT.on_max_per_user,
    "SESSION_SEAL": None,
    "SESSION_SEAL_KEYS": None,
    "SESSION_SEAL_MIGRATE_UNTIL": None,
}

#: Settings of Flask, and one of Flask-Login, that begin alike.
_OTHERS = {
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_COOKIE_PATH",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_SECURE",
    "SESSION_PROTECTION",
    "SESSION_REFRESH_EACH_REQUEST",
}

#: The longest span, in seconds.
_LONGEST = timedelta.max.total_seconds()

#: The settings a policy is made of, with the attribute each becomes.
_SPANS = {
    "PERMANENT_SESSION_LIFETIME": "idle",
    "SESSION_ABSOLUTE_LIFETIME": "absolute",
    "SESSION_RENEWAL_INTERVAL": "renewal",
    "SESSION_ROTATION_GRACE": "grace",
}
#: The settings that are True or False.
_SWITCHES = (
    "SESSION_KEEP_ADDRESS",
    "SESSION_KEEP_DEVICE",
    "SESSION_PERMANENT",
    "SESSION_REQUIRE_HTTPS",
    "SESSION_SAVE_ON_ERROR",
    "SESSION_USE_SIGNER",
)
_CHOICES = {
    "SESSION_ON_CONFLICT": ("on_conflict", ("merge", "error")),
    "SESSION_ON_STORE_ERROR": ("on_store_error", ("raise", "anonymous")),
    "SESSION_ON_MAX_PER_USER": ("on_max_per_user", ("evict-oldest", "refuse")),
}


def complete(app: Flask) -> None:
    """Translate Flask-Session's settings, fill in the defaults, and refuse what cannot be meant.

    Raises:
        ConfigurationError: A value is of the wrong kind. The message names the setting, the value and the fix.
    """
    _warn_of_unknown(app)
    profiles.apply(app.config)
    for name, value in {**DEFAULTS, **flask_session.defaults(app.config)}.items():
        if app.config.get(name) is None:
            app.config[name] = value
    for name in _SWITCHES:
        if not isinstance(app.config[name], bool):
            raise ConfigurationError(f"{name} is {app.config[name]!r}: it must be True or False")
    if not isinstance(app.config["SESSION_KEY_PREFIX"], str):
        raise ConfigurationError(f"SESSION_KEY_PREFIX is {app.config['SESSION_KEY_PREFIX']!r}: it must be text")
    owner_key = app.config["SESSION_OWNER_KEY"]
    if owner_key in ("", b""):
        raise ConfigurationError(
            "SESSION_OWNER_KEY is empty and would hide nothing: give it 32 random bytes, or unset it"
        )
    if isinstance(owner_key, str):
        app.config["SESSION_OWNER_KEY"] = owner_key.encode()
    elif owner_key is not None and not isinstance(owner_key, bytes):
        raise ConfigurationError("SESSION_OWNER_KEY must be bytes or text: 32 random bytes do")
    policy_reader(app)()
    cookie_rules.check(app.config)
    hardening.check(app.config)
    configured_codec(app)


def configured_codec(app: Flask) -> Codec:
    """Return the codec that ``SESSION_SERIALIZATION_FORMAT`` names."""
    return codec_named(app.config["SESSION_SERIALIZATION_FORMAT"])


def policy_reader(app: Flask) -> Callable[[], Policy]:
    """Return a function that returns the policy by the settings of the moment, as Flask reads its own."""
    names = (*_SPANS, *_CHOICES, "SESSION_PERMANENT", "SESSION_MAX_BYTES", "SESSION_MAX_PER_USER")
    fetch = operator.itemgetter(*names)
    config = app.config
    seen: tuple[Any, ...] = ()
    policy = Policy()

    def read() -> Policy:
        nonlocal seen, policy
        values = fetch(config)
        if values != seen:
            policy = _policy(dict(zip(names, values, strict=True)))
            seen = values
        return policy

    return read


def _policy(config: dict[str, Any]) -> Policy:
    values = {attribute: _milliseconds(name, config[name]) for name, attribute in _SPANS.items()}
    for name, (attribute, choices) in _CHOICES.items():
        if config[name] not in choices:
            raise ConfigurationError(f"{name} is {config[name]!r}: it must be one of {', '.join(map(repr, choices))}")
        values[attribute] = config[name]
    size = config["SESSION_MAX_BYTES"]
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise ConfigurationError(f"SESSION_MAX_BYTES is {size!r}: it must be a number of bytes greater than 0")
    limit = config["SESSION_MAX_PER_USER"]
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0):
        raise ConfigurationError(f"SESSION_MAX_PER_USER is {limit!r}: it must be a number greater than 0, or None")
    return Policy(permanent=config["SESSION_PERMANENT"], max_bytes=size, max_per_user=limit, **values)


def _milliseconds(name: str, value: Any) -> Any:
    if value is None and DEFAULTS.get(name, 0) is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        raise ConfigurationError(f"{name} is {value!r}: it must be seconds greater than 0, or a timedelta")
    return max(1, round(value * 1000))


def _warn_of_unknown(app: Flask) -> None:
    known = {name.removeprefix(_PREFIX) for name in (*DEFAULTS, *_OTHERS, *flask_session.SETTINGS)}
    typeless = app.config.get("SESSION_TYPE") is None
    for name, value in app.config.items():
        rest = name.removeprefix(_PREFIX)
        if typeless and name in flask_session.STORE_SETTINGS and value is not None:
            warnings.warn(f"{name} has no effect without SESSION_TYPE", stacklevel=5)
        if name.startswith(_PREFIX) and rest not in known:
            nearest = difflib.get_close_matches(rest, known, n=1)
            hint = f": did you mean {_PREFIX}{nearest[0]}?" if nearest else ""
            # Five frames up is whoever called Session(app) or init_app(app).
            warnings.warn(f"{name} is not a setting of Holdfast or Flask{hint}", stacklevel=5)
