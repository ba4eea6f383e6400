"""From a token to the session it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast import events
from holdfast.errors import DecodeError, UnknownKey
from holdfast.records.envelope import Envelope, Fate, Sealed, Tombstone, decode
from holdfast.records.record import Record
from holdfast.records.tokens import open_successor
from holdfast.sessions.flows.context import Context
from holdfast.sessions.ops import Flow, delete, load
from holdfast.sessions.state import PERMANENT, SessionState, StoredSession

#: Aliases followed from one token: more than one renewal within a grace period is already unusual.
HOPS = 4


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a token does not lead to a session."""

    reason: events.RejectReason


def open_session(context: Context, state: SessionState, token: str) -> Flow[None]:
    """Fill *state* with the session of *token*, or report why there is none.

    An id nobody knows is never taken over. Under a superseded one the request is anonymous and read-only, so that
    its response cannot disturb the cookie that carries the new id.
    """
    state.opened_at = context.clock()
    key = context.keys.key_of(token)
    found = yield from resolve(context, token, key, (yield from load(key)), now=state.opened_at)
    if isinstance(found, Rejected):
        _report(context, key, found)
        state.read_only = found.reason == "superseded"
        return
    context.emit("loads")
    stored, state.data = found
    policy, envelope = context.policy, stored.envelope
    state.build_on(stored, redeliver=stored.token != token)
    state.read_only = False
    state.was_permanent = bool(state.data.get(PERMANENT, policy.permanent))
    state.pending = (
        state.redeliver
        or policy.touch_due(envelope, stored.expires_at, state.opened_at)
        or policy.renewal_due(envelope.issued_at, state.opened_at)
    )


def resolve(
    context: Context, token: str, key: str, record: Record | None, *, now: int
) -> Flow[tuple[StoredSession, dict[Any, Any]] | Rejected]:
    """Return the live session that *record*, stored for *token* under *key*, holds or leads to, with its data."""
    for _ in range(HOPS):
        if record is None:
            break
        try:
            body = decode(record.data)
            if isinstance(body, Envelope | Sealed):
                envelope = context.sealer.open(body, token=token, key=key, owner=record.owner)
                stored = StoredSession(token, key, record.version, record.expires_at, record.owner, envelope)
                reason = context.policy.verdict(envelope, stored.expires_at, now)
                return (stored, envelope.codec.loads(envelope.payload)) if reason is None else Rejected(reason)
        except UnknownKey:  # another server may have the key
            return Rejected("unknown_key")
        except DecodeError as error:
            return (yield from _set_aside(key, foreign=error.foreign))
        if not isinstance(body, Tombstone):
            return Rejected("corrupt")
        if body.until <= now:
            break
        if body.fate is Fate.SUPERSEDED:
            return Rejected("superseded")
        if body.sealed is None:
            break
        token = open_successor(token, body.sealed)
        key = context.keys.key_of(token)
        record = yield from load(key)
    return Rejected("unknown_id")


def _set_aside(key: str, *, foreign: bool) -> Flow[Rejected]:
    """Remove a damaged record, so that it is met once. One in a foreign format may be a newer release's: it stays."""
    if not foreign:
        yield from delete(key)
    return Rejected("corrupt")


def _report(context: Context, key: str, rejected: Rejected) -> None:
    if rejected.reason == "superseded":
        context.emit("superseded", handle=key)
    if rejected.reason in ("expired_idle", "expired_absolute"):
        context.emit("ended", handle=key, owner=None, reason="expired")
    context.emit("rejected", reason=rejected.reason)
