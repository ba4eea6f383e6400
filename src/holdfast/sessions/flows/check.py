"""Look again whether a session lives, for handlers that outlast a request."""

from __future__ import annotations

from holdfast.errors import DecodeError
from holdfast.records.envelope import Fate, Tombstone, decode
from holdfast.records.tokens import open_successor
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import info_of
from holdfast.sessions.flows.open import HOPS
from holdfast.sessions.ops import Flow, load


def live_token(context: Context, token: str) -> Flow[str | None]:
    """Return the token that the live session of *token* has now, or None when there is no such session.

    That is *token*, or within the grace period the one that a renewal put in its place. Nothing is written, touched or
    told. A login, a logout and a rotation all give a session another token, and this one is over then.
    """
    for _ in range(HOPS):
        key = context.keys.key_of(token)
        record = yield from load(key)
        if record is None:
            return None
        if info_of(context, key, record) is not None:
            return token
        try:
            body = decode(record.data)
        except DecodeError:
            return None
        if not isinstance(body, Tombstone) or body.fate is not Fate.ALIAS or body.until <= context.clock():
            return None
        if body.sealed is None:
            return None
        token = open_successor(token, body.sealed)
    return None
