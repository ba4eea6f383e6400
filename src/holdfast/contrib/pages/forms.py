"""Forms that only a page of the same session can contain, and the check before a form ends sessions.

The CSRF token is derived from the session's token, so it is not stored, and is invalid after the token has changed:
after a login, a logout, a rotation.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any, TypeAlias

from flask import abort, current_app, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from holdfast.flask import require_fresh, session
from holdfast.records.tokens import labelled
from holdfast.sessions.server_session import state_of
from holdfast.sessions.state import StoredSession

#: Called before sessions are ended: returns None to continue, or a response.
Guard: TypeAlias = Callable[[], ResponseReturnValue | None]

#: The field with the CSRF token.
FIELD = "form_token"

#: The values of ``Sec-Fetch-Site`` for a form that the page itself sent, and for one that the user sent again.
_OWN = {"same-origin", "none"}


def form_token() -> str:
    """Return the CSRF token for a form of the current session; empty if the session is not stored.

    It differs each time, so that the length of compressed pages does not reveal it.
    """
    nonce = secrets.token_hex(16)
    made = _proof(nonce)
    return f"{nonce}.{made}" if made else ""


def reload_if_outdated(**query: Any) -> Response | None:
    """Return a redirect to the same page, with *query*, if its forms would be outdated when they are sent, or None.

    They are if this request signs a user in, or its end gives the session another token. It is done once.
    """
    stored, manager, state = _stored(), current_app.extensions["holdfast"].manager, state_of(session)
    if stored is None:
        outdated = state.owner is not None
    else:
        renewal_due = manager.context.policy.renewal_due(stored.envelope.issued_at, manager.clock())
        outdated = state.changes.new_token or renewal_due
    if not outdated or "again" in request.args:
        return None
    return redirect(url_for(request.endpoint or "", **query, again=1), 303)


def is_own_form() -> bool:
    """Return whether the request's form was made for the current session, and sent by a page of this origin."""
    if not _is_from_here():
        return False
    nonce, _, given = request.form.get(FIELD, "").partition(".")
    made = _proof(nonce)
    return made is not None and hmac.compare_digest(made.encode(), given.encode())


def guard_of(fresh: float | Guard | None) -> Callable[[], None]:
    """Return the function to call before sessions are ended, for a page's argument *fresh*. It may abort."""
    ask: Guard = fresh if callable(fresh) else (lambda: None) if fresh is None else require_fresh(fresh)(lambda: None)

    def guard() -> None:
        answer = ask()
        if answer is not None:
            abort(make_response(answer))

    return guard


def _proof(nonce: str) -> str | None:
    stored = _stored()
    if stored is None:
        return None
    return hmac.digest(stored.token.encode(), labelled(b"form", nonce.encode()), "sha256").hex()


def _stored() -> StoredSession | None:
    return None if session.new else state_of(session).stored


def _is_from_here() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN
    origin = request.headers.get("Origin")
    # Not the scheme: behind a proxy that terminates https, the application may not know it.
    return origin is None or origin.partition("://")[2] == request.host
