"""Sign in as another user, for support, and get back."""

from __future__ import annotations

from typing import Any, cast

from flask import session

from holdfast.errors import LoginEnded
from holdfast.flask.answers import answerable
from holdfast.flask.session import FlaskSession
from holdfast.records.metadata import AUTHENTICATED_AT, IMPERSONATOR
from holdfast.sessions.ends import Ends
from holdfast.sessions.server_session import state_of
from holdfast.sessions.state import FRESH, IDENTITY, OPERATOR, Changes

__all__ = ["impersonate", "is_impersonating", "stop_impersonating"]

#: What Flask-Login compares with the browser, so that it must be the same for both users.
_OF_BROWSER = "_id"


def impersonate(user_id: object) -> None:
    """Sign in as *user_id* with a session of its own, and keep the operator's data for the way back.

    The keys that held the operator's id, `SESSION_IDENTITY_KEYS` and Flask-Login's, get *user_id*; the rest of the data
    is empty. In the user's list of sessions this one has an `impersonator`. The caller checks who may do this.

    Raises:
        ValueError: Nobody is signed in, or the session impersonates already, or the user is the operator.
        TypeError: *user_id* cannot be the id of a user.
    """
    face = cast(FlaskSession, session)
    state, manager = state_of(face), face._manager  # noqa: SLF001  # of the same product
    operator, owner_of = face.owner, manager.keys.owner_of
    if operator is None or is_impersonating() or owner_of(user_id) == operator:
        raise ValueError("impersonate() needs a session of another user that does not impersonate yet")
    data = dict(face)
    names = [name for name in (IDENTITY, *manager.context.policy.identity_keys) if name in data]
    ids = {name: str(user_id) if name == IDENTITY else user_id for name in names if owner_of(data[name]) == operator}
    kept = {name: data[name] for name in (_OF_BROWSER, FRESH) if name in data}
    at, proved_at = state.started_at + manager.offset(), face.authenticated_at or 0
    way_back = {"owner": operator, "data": data, "at": at, "proved_at": proved_at}
    _sign_in(face, owner_of(user_id), {**kept, **ids, OPERATOR: way_back}, proved_at)
    state.changes.meta[IMPERSONATOR] = operator


def _sign_in(face: FlaskSession, owner: str, data: dict[str, Any], proved_at: int) -> None:
    """Bind the session to *owner*, with *data* alone, whatever this request has put into it.

    It is no proof of identity: the operator's last one, in milliseconds since the epoch, was *proved_at*.
    """
    state = state_of(face)
    face._rebind(owner)  # noqa: SLF001  # bind() takes the id, which the store never gets
    state.data.clear()
    state.changes = Changes(wiped=True, rebind=True, owner=owner)
    state.changes.data_owner = owner
    face.update(data)
    state.changes.meta[AUTHENTICATED_AT], state.changes.consumed = str(proved_at), True


def is_impersonating() -> bool:
    """Return whether the session of this request is an operator's who has signed in as its user."""
    return _kept(cast(FlaskSession, session)) is not None


def _kept(face: FlaskSession) -> dict[str, Any] | None:
    """Return what is kept of the operator's session, or None."""
    kept: dict[str, Any] | None = face.get(OPERATOR)
    return kept if state_of(face).meta(IMPERSONATOR) is not None else None


def stop_impersonating() -> None:
    """Sign in as the operator again, with the data from before. It is no proof of identity.

    Raises:
        ValueError: The session does not impersonate.
        LoginEnded: All of the operator's sessions were ended meanwhile: this one ends too.
    """
    face = cast(FlaskSession, session)
    kept = _kept(face)
    if kept is None:
        raise ValueError("stop_impersonating() needs a session that impersonates")
    manager = face._manager  # noqa: SLF001  # of the same product
    if isinstance(manager, Ends) and manager.ended_since(kept["at"], kept["owner"]):
        face.destroy()
        raise answerable(LoginEnded("all sessions of the operator were ended meanwhile: sign in again"))
    _sign_in(face, kept["owner"], kept["data"], kept["proved_at"])
