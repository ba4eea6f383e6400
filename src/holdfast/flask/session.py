"""The session of one Flask request."""

from __future__ import annotations

from flask.sessions import SessionMixin

from holdfast.sessions.mapping import ServerSession


class FlaskSession(ServerSession, SessionMixin):  # type: ignore[override]  # Flask declares attributes
    """What `flask.session` stands for: Flask's session, with `rotate`, `bind`, `destroy`, `apply` and the rest."""
