"""The session of one Flask request, for views and for templates."""

from __future__ import annotations

import secrets
from typing import Any

from flask import current_app, g, has_app_context, session
from flask.sessions import SecureCookieSession, SessionMixin
from werkzeug.local import LocalProxy

from holdfast.events import Transport
from holdfast.sessions.server_session import ServerSession

#: The names that a template finds on Flask's own session, with any stored keys.
_FLASKS = frozenset(dir(SecureCookieSession))


class FlaskSession(ServerSession, SessionMixin):  # type: ignore[override]  # Flask declares attributes
    """The object behind `flask.session`: Flask's session, with `rotate`, `bind`, `destroy`, `apply` and the rest."""

    @property
    def transport(self) -> Transport:
        """Where the token of this request is, if it has one. Without a lookup.

        A browser sends no header by itself, so only ``"cookie"`` needs protection against forged requests (CSRF).
        """
        return self._manager.context.transport


def forget_secret(key: str) -> None:
    """Forget the token for the forms of this request that is, or is made with, the visitor's secret under *key*.

    Flask-WTF makes another one. Flask-SeaSurf stores the token that it finds, so it gets a new one here.
    """
    if not has_app_context():
        return
    if key == current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"):
        g.pop(key, None)
    if key == current_app.config.get("CSRF_COOKIE_NAME", "_csrf_token") and "seasurf_csrf_token" in g:
        g.seasurf_csrf_token = secrets.token_hex()


class TemplateSession(LocalProxy[SessionMixin]):
    """`session` in a template, where ``session.name`` also reads a key: a stored key precedes Holdfast's names."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in _FLASKS and name in session:
            return session[name]
        return getattr(session, name)


_IN_TEMPLATES = TemplateSession(lambda: session)


def in_templates() -> dict[str, Any]:
    """Return the variables of every template. Macros that are imported without them have it too."""
    names = current_app.jinja_env.globals
    if names.get("session") is session:
        names["session"] = _IN_TEMPLATES
    return {"session": _IN_TEMPLATES}
