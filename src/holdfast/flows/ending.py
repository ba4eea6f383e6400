"""End sessions: one, one by its handle, or all of a user's, so that no request in flight brings one back."""

from __future__ import annotations

from holdfast import events
from holdfast.envelope import Cutoff, Fate, Tombstone, decode, encode
from holdfast.errors import DecodeError
from holdfast.flows.context import Context
from holdfast.operations import Create, Delete, Flow, KeysOf, Load, Replace
from holdfast.policy import HOUR
from holdfast.record import Conflict, Gone, Record, Version
from holdfast.session import ServerSession

#: Longer than any request that may still log in.
_CUTOFF_LIFETIME = HOUR


def kill(context: Context, key: str, version: Version, owner: str | None) -> Flow[str | None]:
    """End the session stored under *key*, and return the key it was ended under; None when it was over already.

    A concurrent save does not save it, and a concurrent rotation does not either, unless it was another user's login.
    """
    for _ in range(context.policy.attempts):
        until = context.clock() + context.policy.grace
        answer = yield Replace(key, encode(Tombstone(Fate.ENDED, until)), version, until)
        if isinstance(answer, Gone):
            return None
        if not isinstance(answer, Conflict):
            yield Delete(key)
            return key
        found = yield from _follow(key, answer.current or (yield Load(key)))
        if found is None or found[1].owner != owner:
            return None
        key, version = found[0], found[1].version
    yield Delete(key)
    return key


def _follow(key: str, record: Record | None) -> Flow[tuple[str, Record] | None]:
    """Return the record under *key*, or the one that its tombstone leads to, with its key."""
    while record is not None:
        try:
            body = decode(record.data)
        except DecodeError:
            return key, record
        if not isinstance(body, Tombstone):
            return key, record
        if body.successor is None:
            return None
        key = body.successor
        record = yield Load(key)
    return None


def revoke(context: Context, handle: str) -> Flow[events.RevokeResult]:
    """End the session with *handle*, or the one it was rotated to within the grace period."""
    found = yield from _follow(handle, (yield Load(handle)))
    if found is None:
        return "absent"
    key, record = found
    ended = yield from kill(context, key, record.version, record.owner)
    if ended is None:
        return "absent"
    context.emit(events.ended, handle=ended, owner=record.owner, reason="revoked")
    return "confirmed"


def revoke_all(context: Context, owner: str, *, keep: str | None = None) -> Flow[int]:
    """End every session of *owner* that began before now, except the one with the handle *keep*; return how many.

    The cut-off comes first: a login that is under way finds it and gives way. Then everything listed is deleted until
    nothing is: a rotation that is under way has indexed its new key before the old one can be found.
    """
    yield from _cut_off(context, owner, keep)
    ended = 0
    while True:
        deleted = 0
        for key in (yield KeysOf(owner)):
            if key == keep:
                continue
            record = yield Load(key)
            if record is not None and record.owner == owner and (yield Delete(key)):
                deleted += 1
                context.emit(events.ended, handle=key, owner=owner, reason="revoked")
        if not deleted:
            return ended
        ended += deleted


def _cut_off(context: Context, owner: str, keep: str | None) -> Flow[None]:
    key = context.keys.cutoff_key(owner)
    while True:
        now = context.clock()
        data, expires_at = encode(Cutoff(now, keep)), now + _CUTOFF_LIFETIME
        record = yield Load(key)
        if record is None:
            if (yield Create(key, data, expires_at)) is not None:
                return
        elif not isinstance((yield Replace(key, data, record.version, expires_at)), Conflict | Gone):
            return


def ended_meanwhile(context: Context, session: ServerSession, owner: str, *keys: str) -> Flow[bool]:
    """Tell whether all of the owner's sessions were ended since the request began that logs in under *keys*."""
    if not context.indexes:
        return False
    record = yield Load(context.keys.cutoff_key(owner))
    if record is None:
        return False
    cutoff = decode(record.data)
    return isinstance(cutoff, Cutoff) and cutoff.at >= session.started_at and cutoff.keep not in keys
