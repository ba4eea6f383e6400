"""The steps of a login after its session is stored: read the user's cut-off, and enforce the limit.

The store may fail there. A session that replaced another one then gets a mark, and the browser gets its token although
the response is an error; the next request that loads the session finishes the login.
"""

from __future__ import annotations

from holdfast.errors import DecodeError, StoreUnavailable, TooManySessions, UnknownKey
from holdfast.records.envelope import Cutoff
from holdfast.records.metadata import UNFINISHED
from holdfast.records.record import Conflict, Gone, Record
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.limit import make_room
from holdfast.sessions.ops import Flow, delete, load, replace
from holdfast.sessions.policy import SKEW
from holdfast.sessions.state import SessionState, StoredSession
from holdfast.stores.contract import Indexes


def read_cutoff(context: Context, key: str, record: Record | None, *, strict: bool = False) -> Cutoff | None:
    """Return the cut-off in *record*, stored under *key*, or None where there is none that can be believed.

    Clocks differ by `SKEW` at most. A time later than that was forged, and must not keep its owner out for ever.

    Raises:
        UnknownKey: With *strict*: another server's key vouches for it.
    """
    try:
        body = context.read(key, record) if record is not None else None
    except DecodeError as error:  # a damaged one says nothing, and must not keep its owner out
        if strict and isinstance(error, UnknownKey):
            raise
        return None
    return body if isinstance(body, Cutoff) and body.at <= context.clock() + SKEW else None


def ended_meanwhile(context: Context, owner: str, started_at: int, *keys: str) -> Flow[bool]:
    """Return whether all of the owner's sessions were ended since *started_at*, when a login under *keys* began."""
    if Indexes not in context.capabilities:
        return False
    key = context.keys.cutoff_key(owner)
    cutoff = read_cutoff(context, key, (yield from load(key, fresh=True)))
    return cutoff is not None and cutoff.at >= started_at and cutoff.keep not in keys


def finish_login(context: Context, stored: StoredSession, started_at: int, previous: str | None = None) -> Flow[bool]:
    """Return whether a login that is *stored* is valid, and remove it if not. A failed call is repeated once.

    *started_at* is the start of the login, *previous* the former key of its session, or None.

    Raises:
        TooManySessions: It exceeds the limit, and the policy is to refuse it.
        StoreUnavailable: The store failed twice.
    """
    if stored.owner is None:
        return True
    try:
        return (yield from _stands(context, stored, stored.owner, started_at, previous))
    except StoreUnavailable:
        return (yield from _stands(context, stored, stored.owner, started_at, previous))


def _stands(context: Context, stored: StoredSession, owner: str, started_at: int, previous: str | None) -> Flow[bool]:
    if (yield from ended_meanwhile(context, owner, started_at, stored.key, previous or stored.key)):
        yield from delete(stored.key)
        return False
    return (yield from make_room(context, stored, owner))


def postpone(context: Context, state: SessionState, stored: StoredSession, previous: str) -> Flow[None]:
    """Mark a login that could not be finished, and give the browser its token.

    If even that cannot be stored, the session is removed: a cut-off may cover it.

    Raises:
        StoreUnavailable: The store failed.
    """
    stored.envelope.meta[UNFINISHED] = f"{state.started_for(stored.owner or '')} {previous}"
    try:
        answer = yield from replace(stored.key, context.seal(stored), stored.version, stored.expires_at, stored.owner)
    except StoreUnavailable:
        yield from delete(stored.key)
        raise
    if not isinstance(answer, Conflict | Gone):
        stored.version = answer
        state.build_on(stored)
        state.owed = True


def finish_postponed(context: Context, stored: StoredSession) -> Flow[bool]:
    """Return whether the login of *stored* is valid, as `finish_login` does, if it was postponed.

    Raises:
        StoreUnavailable: The store failed.
    """
    mark = stored.envelope.meta.get(UNFINISHED)
    if mark is None:
        return True
    started_at, _, previous = mark.partition(" ")
    try:
        return (yield from finish_login(context, stored, int(started_at), previous))
    except TooManySessions:
        return False
