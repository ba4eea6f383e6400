"""Write a session that changed, keep one alive that did not."""

from __future__ import annotations

import random
from typing import Any

from holdfast.errors import SessionConflict
from holdfast.records.envelope import Envelope, Fate, Tombstone, encode
from holdfast.records.record import Conflict, Gone, Version
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.opening import Refusal, resolve
from holdfast.sessions.mapping import Loaded, Opened, Outcome, ServerSession
from holdfast.sessions.merge import merge
from holdfast.sessions.ops import Flow, delete, load, pause, replace, touch

_KEPT = Outcome("unchanged", "keep")


def dropped(context: Context, session: ServerSession) -> Outcome:
    """Tell that the session was over before its change could be stored. No cookie goes out: gone is gone."""
    context.emit("gone", handle=session.handle)
    return Outcome("gone", "none")


def save(context: Context, session: ServerSession, loaded: Loaded, *, confirm: bool = False) -> Flow[Outcome]:
    """Write the session if its bytes changed, with what other requests wrote meanwhile merged in."""
    due = not session.background and context.policy.touch_due(loaded.envelope, loaded.expires_at, context.clock())
    if not (due or confirm or session.may_differ):
        return _KEPT
    payload = context.codec.dumps(session.data)
    restamp = due and loaded.envelope.idle != context.policy.idle
    if not restamp and _unchanged(context, session, loaded, payload):
        return (yield from _keep_alive(context, session, loaded, due=due, confirm=confirm))
    for attempt in range(context.policy.attempts):
        answer = yield from _write(context, session, loaded, payload)
        if not isinstance(answer, Conflict | Gone):
            return Outcome("merged" if attempt else "saved", answer.cookie)
        theirs = yield from reconcile(context, session, loaded, answer, attempt)
        if theirs is None:
            return dropped(context, session)
        loaded = theirs
        payload = context.codec.dumps(session.data)
        if _unchanged(context, session, loaded, payload):
            return Outcome("merged", "keep")
    raise still_contested()


def _unchanged(context: Context, session: ServerSession, loaded: Loaded, payload: bytes) -> bool:
    if session.is_empty:  # what was left in it was taken out at once: it is over
        return False
    stored = loaded.envelope
    if stored.codec is not context.codec:
        payload = stored.codec.dumps(session.data)
    return payload == stored.payload and session.agrees_with(stored.meta)


def _write(context: Context, session: ServerSession, loaded: Loaded, payload: bytes) -> Flow[Outcome | Conflict | Gone]:
    """Try once to store *payload*, or the session's end when nothing is left in it."""
    now, old = context.clock(), loaded.envelope
    if session.is_empty:
        until = now + context.policy.grace
        answer = yield from replace(loaded.key, encode(Tombstone(Fate.ENDED, until)), loaded.version, until)
        if isinstance(answer, Conflict | Gone):
            return answer
        yield from delete(loaded.key)
        session.opened = Opened()
        context.emit("ended", handle=loaded.key, owner=loaded.owner, reason="logout")
        return Outcome("saved", "delete")
    meta = session.meta_upon(old.meta, permanent=context.policy.permanent)
    envelope = context.envelope(payload, created_at=old.created_at, issued_at=old.issued_at, meta=meta)
    expires_at = context.expires_at(envelope, now)
    data = context.seal(envelope, token=loaded.token, key=loaded.key, owner=loaded.owner)
    answer = yield from replace(loaded.key, data, loaded.version, expires_at, loaded.owner)
    if isinstance(answer, Conflict | Gone):
        return answer
    adopt(session, loaded, envelope, answer, expires_at)
    return Outcome("saved", "keep")


def adopt(session: ServerSession, loaded: Loaded, envelope: Envelope, version: Version, expires_at: int) -> None:
    """Make *envelope*, just written over *loaded*, what the session builds on. Its data stay as they are."""
    stored = Loaded(loaded.token, loaded.key, version, expires_at, loaded.owner, envelope)
    session.opened = Opened(stored, session.data, deliver=_deliver(session))


def _keep_alive(context: Context, session: ServerSession, loaded: Loaded, *, due: bool, confirm: bool) -> Flow[Outcome]:
    if confirm:
        found = yield from resolve(context, loaded.token, loaded.key, (yield from load(loaded.key)))
        if isinstance(found, Refusal):
            return dropped(context, session)
        if found[0].token != loaded.token:  # the token that this request knows is about to end
            loaded, data = found
            session.opened = Opened(loaded, data, deliver=True)
    if due:
        expires_at = context.expires_at(loaded.envelope, context.clock())
        if not (yield from touch(loaded.key, expires_at)):
            return dropped(context, session)
        loaded.expires_at = expires_at
    return _KEPT


def reconcile(
    context: Context, session: ServerSession, loaded: Loaded, answer: Conflict | Gone, attempt: int
) -> Flow[Loaded | None]:
    """Merge into the session what another request stored first, and return that as what to build on.

    Returns None when the session is over. A renewal is followed to the new token; a rotation is the end of the old id.
    From the second *attempt* on it waits first, to let the others pass.

    Raises:
        SessionConflict: The policy is not to merge.
    """
    if isinstance(answer, Gone):
        return None
    context.emit("conflicts")
    current = answer.current
    if attempt:
        yield from pause(_delay(attempt))
        current = None  # what the conflict brought along is old by now
    found = yield from resolve(context, loaded.token, loaded.key, current or (yield from load(loaded.key)))
    if isinstance(found, Refusal):
        if found.reason == "superseded":
            context.emit("superseded", handle=loaded.key)
        return None
    if context.policy.on_conflict == "error":
        raise SessionConflict("another request changed the session first: repeat the request")
    theirs, their_data = found
    data = session.data if session.wishes.wiped else _merged(context, session, loaded, their_data)
    session.opened = Opened(theirs, data, deliver=_deliver(session) or theirs.token != loaded.token)
    return theirs


def _deliver(session: ServerSession) -> bool:
    return session.opened is not None and session.opened.deliver


def _merged(context: Context, session: ServerSession, loaded: Loaded, theirs: dict[Any, Any]) -> dict[Any, Any]:
    dumps = context.codec.dumps

    def same(a: Any, b: Any) -> bool:
        encoded: bool = dumps({"": a}) == dumps({"": b})
        return encoded

    base = loaded.envelope.codec.loads(loaded.envelope.payload)
    context.emit("merges")
    merged = merge(base, session.data, theirs, same=same)
    merged.update(session.wishes.reapplied(theirs))
    return merged


def _delay(attempt: int) -> float:
    """Return how long to wait before the next try, in milliseconds: longer each time, at most 50, with jitter."""
    return random.uniform(0, min(2**attempt, 50))  # noqa: S311  # jitter, not a secret


def still_contested() -> SessionConflict:
    """Return the error for a session that others kept changing until the tries were used up."""
    return SessionConflict("other requests kept changing the session: repeat the request")
