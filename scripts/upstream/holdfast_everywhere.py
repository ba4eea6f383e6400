"""A pytest plugin: every Flask application of a test suite uses Holdfast's sessions.

The suites were written for Flask's signed cookie, so sessions need a ``SECRET_KEY`` here too: tokens are signed with
it, even if it is weak, and an application without one has Flask's null session. Applications with their own interface
keep it.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Request
from flask.sessions import SecureCookieSessionInterface

from holdfast.flask import Session
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.session import FlaskSession
from holdfast.records import weak_keys

_make = Flask.__init__
_open = HoldfastInterface.open_session


def _make_with_holdfast(self: Flask, *args: Any, **kwargs: Any) -> None:
    _make(self, *args, **kwargs)
    if type(self.session_interface) is SecureCookieSessionInterface:
        self.config.update(SESSION_STORE="memory://", SESSION_USE_SIGNER=True)
        Session(self)


def _open_with_a_key(self: HoldfastInterface, app: Flask, request: Request) -> FlaskSession | None:
    return _open(self, app, request) if app.secret_key else None


def _no_weakness_of(key: str | bytes) -> str | None:  # noqa: ARG001  # any value
    return None


Flask.__init__ = _make_with_holdfast  # type: ignore[method-assign]
weak_keys.weakness_of = _no_weakness_of
HoldfastInterface.open_session = _open_with_a_key  # type: ignore[method-assign]
