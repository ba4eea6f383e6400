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
from holdfast.sessions.mapping import Loaded, Opened
from holdfast.sessions.ops import Flow, delete, load

#: Aliases followed from one token: more than one renewal within a grace period is already unusual.
HOPS = 4


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a token does not lead to a session."""

    reason: events.RejectReason


def open_session(context: Context, token: str) -> Flow[Opened]:
    """Find the session of *token*, and tell why where there is none.

    An id nobody knows is never taken over. Under a superseded one the request is anonymous and read-only, so that
    its response cannot disturb the cookie that carries the new id.
    """
    key = context.keys.key_of(token)
    record = yield from load(key)
    found = yield from resolve(context, token, key, record)
    if isinstance(found, Refusal):
        _report(context, key, found)
        return Opened(read_only=found.reason == "superseded")
    context.emit("loads")
    loaded, data = found
    return Opened(loaded, data, deliver=loaded.token != token)


def resolve(
    context: Context, token: str, key: str, record: Record | None
) -> Flow[tuple[Loaded, dict[Any, Any]] | Refusal]:
    """Return the live session that *record*, stored for *token* under *key*, holds or leads to, with its data."""
    for _ in range(HOPS):
        if record is None:
            break
        try:
            body = decode(record.data)
            if isinstance(body, Envelope | Sealed):
                envelope = context.sealer.open(body, token=token, key=key, owner=record.owner)
                return _examine(context, Loaded(token, key, record.version, record.expires_at, record.owner, envelope))
        except UnknownKey:  # another server may have the key
            return Refusal("unknown_key")
        except DecodeError as error:
            return (yield from _set_aside(key, foreign=error.foreign))
        if not isinstance(body, Tombstone):
            return Refusal("corrupt")
        if body.until <= context.clock():
            break
        if body.fate is Fate.SUPERSEDED:
            return Refusal("superseded")
        if body.sealed is None:
            break
        token = open_successor(token, body.sealed)
        key = context.keys.key_of(token)
        record = yield from load(key)
    return Refusal("unknown_id")


def _examine(context: Context, loaded: Loaded) -> tuple[Loaded, dict[Any, Any]] | Refusal:
    envelope = loaded.envelope
    reason = context.policy.verdict(envelope, loaded.expires_at, context.clock())
    return (loaded, envelope.codec.loads(envelope.payload)) if reason is None else Refusal(reason)


def _set_aside(key: str, *, foreign: bool) -> Flow[Refusal]:
    """Remove a damaged record, so that it is met once. One in a foreign format may be a newer release's: it stays."""
    if not foreign:
        yield from delete(key)
    return Refusal("corrupt")


def _report(context: Context, key: str, refusal: Refusal) -> None:
    if refusal.reason == "superseded":
        context.emit("superseded", handle=key)
    if refusal.reason in ("expired_idle", "expired_absolute"):
        context.emit("ended", handle=key, owner=None, reason="expired")
    context.emit("rejected", reason=refusal.reason)
