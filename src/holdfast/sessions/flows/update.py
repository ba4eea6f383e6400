"""Change the data of a stored session from outside of a request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from holdfast.errors import ConfigurationError, RecordTooLarge
from holdfast.sessions.flows.commit import write_over
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import follow
from holdfast.sessions.flows.listing import open_own
from holdfast.sessions.flows.reconcile import Write, still_contested
from holdfast.sessions.ops import Flow, load
from holdfast.sessions.state import IDENTITY, StoredSession, signs_over

#: Changes the data of a session in place.
Change: TypeAlias = Callable[[dict[Any, Any]], object]


def update(context: Context, handle: str, change: Change) -> Flow[bool]:
    """Apply *change* to the data of the session with *handle*, and return whether there is one.

    It is applied again to what another request stored first. The session's user and its timeouts stay as they are. What
    it raises is as in `holdfast.flask.Session.update`.
    """
    if inspect.iscoroutinefunction(change):
        raise TypeError(f"the change must be a function that is not async: nothing would await {change!r}")
    write = Write()
    for _ in range(context.policy.attempts):
        stored = yield from _stored_at(context, handle)
        if stored is None:
            write.refuse_if_unknown()
            return False
        envelope = stored.envelope
        if write.is_applied(envelope.writes):
            return True
        data = envelope.codec.loads(envelope.payload)
        before, user_id = context.owner_named(data), data.get(IDENTITY)
        change(data)
        after = context.owner_named(data)
        is_other = data.get(IDENTITY) != user_id and after != stored.owner
        if is_other or signs_over(stored.owner, before, after):
            raise ValueError("the change signs a user in or out, as only the session's request can: call revoke()")
        payload = context.codec.dumps(data)
        if len(payload) > context.policy.max_bytes:
            raise RecordTooLarge(len(payload), context.policy.max_bytes)
        written = replace(stored, envelope=replace(envelope, payload=payload, codec=context.codec))
        if isinstance((yield from write_over(context, stored, written, write)), StoredSession):
            return True
    raise still_contested()


def _stored_at(context: Context, handle: str) -> Flow[StoredSession | None]:
    """Return the live session with *handle*, or the one it was rotated to, without its token."""
    found = yield from follow(context, handle, (yield from load(handle, fresh=True)))
    envelope = None if found is None else open_own(context, *found)
    if found is None or envelope is None:
        return None
    key, record = found
    if context.policy.verdict(envelope, record.expires_at, context.clock()) is not None:
        return None
    if not envelope.payload:
        raise ConfigurationError("the data of the session can be read with its cookie alone: SESSION_SEAL is 'cookie'")
    return StoredSession("", key, record.version, record.expires_at, record.owner, envelope)
