"""Check again whether a session is live, for handlers that outlast a request."""

from __future__ import annotations

from holdfast.records.envelope import Tombstone, control_in
from holdfast.records.tokens import is_token, open_successor
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import info_of
from holdfast.sessions.flows.open import HOPS, leads_on
from holdfast.sessions.ops import Flow, load
from holdfast.sessions.state import SessionState


def still_valid(context: Context, session: SessionState | str) -> Flow[bool]:
    """Return whether the session of a token, or the stored one of a state, is live: see `Requests.still_valid`."""
    if isinstance(session, str):
        return is_token(session) and (yield from live_token(context, session, late=False)) is not None
    if session.stored is None:
        return False
    stored, renewed = session.stored.token, session.renewed_to
    known = renewed[1] if renewed is not None and renewed[0] == stored else stored
    token = yield from live_token(context, known, late=True)
    if token is not None:
        session.renewed_to = (stored, token)
    return token is not None


def live_token(context: Context, token: str, *, late: bool) -> Flow[str | None]:
    """Return the current token of the live session of *token*, or None if there is none.

    That is *token*, or its replacement after a renewal; *late* is as in `holdfast.sessions.flows.open.resolve`. A
    login, a logout and a rotation end the session of *token*. It does not write, touch or report.
    """
    for _ in range(HOPS):
        key = context.keys.key_of(token)
        record = yield from load(key)
        if record is None:
            return None
        if info_of(context, key, record) is not None:
            return token
        body = control_in(context.sealer.read, record, key, Tombstone)
        if body is None or body.sealed is None or not leads_on(body, context.clock(), late=late):
            return None
        token = open_successor(token, body.sealed)
    return None
