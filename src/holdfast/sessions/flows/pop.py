"""Values that exactly one of several requests gets: removed from the stored session at once, not at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from holdfast.records import metadata
from holdfast.records.envelope import Envelope
from holdfast.sessions.flows.commit import write_over
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.reconcile import Applied, Write, merged, reconcile, still_contested
from holdfast.sessions.ops import Flow
from holdfast.sessions.state import SessionState, StoredSession


def pop_stored(context: Context, state: SessionState, key: str) -> Flow[bool]:
    """Remove *key* from the stored session, and return whether it was this request that removed it.

    What this request has changed so far is not stored yet; what others have stored meanwhile is merged into it, so the
    value that was removed is in ``state.data`` afterwards. False, with nothing stored, where another request was first,
    or the session is over, or had no such key when it was looked up. What it raises is as in `commit`.
    """

    def without(stored: Envelope) -> Envelope | None:
        data = stored.codec.loads(stored.payload)
        if key not in data:
            return None
        del data[key]
        idle = context.policy.idle_of(stored.meta)
        return replace(stored, idle=idle, payload=context.codec.dumps(data), codec=context.codec)

    return (yield from _pop(context, state, without))


def consume_authentication(context: Context, state: SessionState) -> Flow[bool]:
    """Make use of the authentication of the session's user; return whether this request is the first to do so."""

    def without(stored: Envelope) -> Envelope | None:
        if metadata.UNUSED not in stored.meta:
            return None
        meta = {name: value for name, value in stored.meta.items() if name != metadata.UNUSED}
        return replace(stored, idle=context.policy.idle_of(meta), meta=meta)

    return (yield from _pop(context, state, without))


def _pop(context: Context, state: SessionState, without: Callable[[Envelope], Envelope | None]) -> Flow[bool]:
    """Store what *without* leaves of the stored session; False if it returns None: what is to be taken is not there."""
    stored = state.stored
    if stored is None:
        return False
    write = Write()
    while not write.exhausted:
        envelope = without(stored.envelope)
        if envelope is None:
            return False
        expires_at = context.policy.expires_at(envelope.created_at, context.clock(), envelope.meta)
        written = replace(stored, envelope=envelope, expires_at=expires_at)
        answer = yield from write_over(context, stored, written, write)
        if isinstance(answer, StoredSession):
            state.stored = answer
            return True
        theirs = yield from reconcile(context, state, stored, answer, write)
        if theirs is None:
            write.refuse_if_unknown()
            return False
        if isinstance(theirs, Applied):
            state.data = merged(context, state, written, theirs.data, write)
            return True
        stored = theirs
    raise still_contested()
