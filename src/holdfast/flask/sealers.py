"""Which keys an application's settings seal its records with."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from flask import Flask

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError
from holdfast.records.encryption import Sealer, SealMode

_MODES: tuple[SealMode, ...] = get_args(SealMode)


def build_sealer(app: Flask, clock: Clock) -> Sealer | None:
    """Return what seals the application's records, or None where they are stored as they are.

    Raises:
        ConfigurationError: A setting is wrong, a key is missing or is not one, or a package is missing.
    """
    how, keys = app.config["SESSION_SEAL"], seal_keys(app)
    if how is None and not keys:
        _refuse_lone_window(app)
        return None
    how = how or "keys"
    if how not in _MODES:
        raise ConfigurationError(f"SESSION_SEAL is {how!r}: it must be one of {', '.join(map(repr, _MODES))}, or None")
    chosen: SealMode = how
    try:
        return Sealer(chosen, keys, migrate_until=_migrate_until(app), clock=clock)
    except ConfigurationError as error:
        raise ConfigurationError(f"SESSION_SEAL is {how!r}, and SESSION_SEAL_KEYS cannot be used: {error}") from error


def seal_keys(app: Flask) -> list[Any]:
    """Return ``SESSION_SEAL_KEYS``, the newest first; one key may stand for a list of one."""
    keys = app.config["SESSION_SEAL_KEYS"]
    if keys is None:
        return []
    if isinstance(keys, str | bytes):
        return [keys]
    if isinstance(keys, list | tuple):
        return list(keys)
    raise ConfigurationError(
        f"SESSION_SEAL_KEYS is of the type {type(keys).__name__}: it must be a list of keys, the newest first"
    )


def _migrate_until(app: Flask) -> int | None:
    """Return ``SESSION_SEAL_MIGRATE_UNTIL`` in milliseconds since the epoch."""
    until = app.config["SESSION_SEAL_MIGRATE_UNTIL"]
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(until.replace("Z", "+00:00")) if isinstance(until, str) else until
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise ConfigurationError(
        f"SESSION_SEAL_MIGRATE_UNTIL is {until!r}: it must be a moment with its time zone, such as"
        " '2027-01-31T00:00:00Z' or an aware datetime"
    )


def _refuse_lone_window(app: Flask) -> None:
    if app.config["SESSION_SEAL_MIGRATE_UNTIL"] is not None:
        raise ConfigurationError("SESSION_SEAL_MIGRATE_UNTIL is set without SESSION_SEAL_KEYS: set both, or neither")
