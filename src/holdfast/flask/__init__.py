"""Holdfast for Flask: ``Session(app)`` keeps `flask.session` on the server."""

from typing import Any, cast

import flask

from holdfast.flask.extension import Session
from holdfast.flask.require_fresh import require_fresh
from holdfast.flask.session import FlaskSession

#: The same proxy as `flask.session`, typed, so that editors and type checkers know `rotate`, `bind` and the rest.
session = cast(FlaskSession, flask.session)

__all__ = ["FlaskSession", "Session", "require_fresh", "session"]


def __getattr__(name: str) -> Any:
    from holdfast.flask.flask_session_surface import imported

    return imported(name)
