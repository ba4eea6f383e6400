"""The keys for signatures: Flask's ``SECRET_KEY`` and its fallbacks, and the refusal of weak ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from flask import Flask

from holdfast.errors import ConfigurationError
from holdfast.records import weak_keys
from holdfast.records.weak_keys import NEW_KEY

_logger = logging.getLogger("holdfast")


def signing_keys(app: Flask, *, needed_by: str = "SESSION_USE_SIGNER=True") -> list[str | bytes]:
    """Return ``SECRET_KEY`` and its fallbacks: any may have signed, and the first signs now. There must be one.

    A subclass of `Flask` may define its own ``secret_key``.
    """
    newest, others = app.secret_key, app.config.get("SECRET_KEY_FALLBACKS") or ()
    if not newest:
        raise ConfigurationError(f"{needed_by} needs SECRET_KEY, which is not set: {NEW_KEY}")
    if isinstance(others, str | bytes) or not all(isinstance(key, str | bytes) for key in (newest, *others)):
        raise ConfigurationError("SECRET_KEY must be text or bytes, and SECRET_KEY_FALLBACKS a list of such keys")
    return [key for key in (newest, *others) if key]


def weak_ones(keys: Iterable[str | bytes]) -> Iterator[tuple[str, str]]:
    """Yield the name and the weakness of each weak key of *keys*: ``SECRET_KEY``, and then its fallbacks."""
    for at, key in enumerate(keys):
        reason = weak_keys.weakness_of(key) if key else None
        if reason is not None:
            yield f"SECRET_KEY_FALLBACKS[{at - 1}]" if at else "SECRET_KEY", reason


def check(app: Flask, keys: list[str | bytes], *, guarded: str = "the signatures of SESSION_USE_SIGNER") -> None:
    """Refuse weak keys for *guarded*, without showing one. In debug mode every key is accepted.

    With Flask-Session's ``SESSION_TYPE`` it is only a warning in the log, so that an existing program still runs.
    """
    if app.debug:
        return
    for name, reason in weak_ones(keys):
        problem = f"{name} can be guessed, and so can {guarded}: {reason}. {NEW_KEY} that cannot"
        if app.config.get("SESSION_TYPE") is None:
            raise ConfigurationError(problem)
        _logger.warning("%s", problem)
