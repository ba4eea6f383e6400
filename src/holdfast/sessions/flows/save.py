"""Write a session: a new one, or one that changed; keep one alive that did not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from holdfast.errors import SessionConflict, StoreUnavailable
from holdfast.records.envelope import extended, newest
from holdfast.records.record import Conflict, Gone
from holdfast.records.tokens import new_token
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import dropped, report_ended, write_tombstone
from holdfast.sessions.flows.finish import finish_login
from holdfast.sessions.flows.open import Rejected, resolve
from holdfast.sessions.flows.write import Lost, Write, create_once
from holdfast.sessions.merge import merge
from holdfast.sessions.ops import Flow, delete, load, pause, replace, touch
from holdfast.sessions.state import CookieAction, Outcome, SessionState, StoredSession

_KEPT = Outcome("unchanged", CookieAction.KEEP)


@dataclass(frozen=True, slots=True, repr=False)
class Applied:
    """A write is applied, whatever the store answered: the session as it is now, with its data."""

    stored: StoredSession
    data: dict[Any, Any]


def revised(
    context: Context,
    state: SessionState,
    base: StoredSession | None,
    *,
    token: str,
    payload: bytes | None = None,
    write: bytes = b"",
) -> StoredSession:
    """Return the session as *state* wants it stored under *token*: a new one, or over *base*, with its version.

    *payload* is the encoded data, where it is known already. *write* is the id of the write that stores it.

    Raises:
        EncodeError, RecordTooLarge: It cannot be stored.
    """
    now, owner, changes = context.clock(), state.owner, state.changes
    begins = base is None or changes.wiped or changes.signs_in
    known = base is not None and base.token == token
    meta = state.merged_metadata(
        base.envelope.meta if base else {},
        permanent=context.policy.permanent,
        namespace_mark=context.keys.namespace_mark,
    )
    envelope = context.envelope(
        context.codec.dumps(state.data) if payload is None else payload,
        created_at=now if base is None or begins else base.envelope.created_at,
        issued_at=base.envelope.issued_at if base and known else now,
        meta=meta,
        writes=extended(base.envelope.writes if base else b"", write),
    )
    key = base.key if base and known else context.keys.key_of(token)
    version, expires_at = base.version if base else 0, context.expires_at(envelope, now)
    return StoredSession(token, key, version, expires_at, owner, envelope)


def create(context: Context, state: SessionState) -> Flow[Outcome]:
    """Store a new session with the data of *state*."""
    made = revised(context, state, None, token=new_token(), write=Write().id)
    version = yield from create_once(made.key, context.seal(made), made.expires_at, made.owner)
    if version is None:  # the token is taken, which has the odds of guessing one
        return (yield from create(context, state))
    made.version = version
    try:
        stands = yield from finish_login(context, made, state.started_for(made.owner or ""))
    except StoreUnavailable:
        yield from delete(made.key)  # nobody has its token, so nobody loses it
        raise
    if not stands:
        return dropped(context, state)
    state.build_on(made)
    report_created(context, made)
    return Outcome("saved", CookieAction.SEND)


def report_created(context: Context, made: StoredSession) -> None:
    """Emit that *made* is a new session, and whose."""
    context.events.emit("created", handle=made.key, owner=made.owner)
    if made.owner is not None:
        context.events.emit("bound", handle=made.key, owner=made.owner)


def save(context: Context, state: SessionState, stored: StoredSession, *, confirm: bool = False) -> Flow[Outcome]:
    """Write the session if its bytes changed, with what other requests wrote meanwhile merged in."""
    due = not state.background and context.policy.touch_due(stored.envelope, stored.expires_at, context.clock())
    if not (due or confirm or state.maybe_changed):
        return _KEPT
    payload = context.codec.dumps(state.data)
    restamp = due and stored.envelope.idle != context.policy.idle
    if not restamp and _unchanged(context, state, stored, payload):
        return (yield from _keep_alive(context, state, stored, due=due, confirm=confirm))
    write = Write()
    for attempt in range(context.policy.attempts):
        answer = yield from _write(context, state, stored, payload, write)
        if isinstance(answer, Outcome):
            return Outcome("merged" if attempt else "saved", answer.cookie)
        theirs = yield from reconcile(context, state, stored, answer, write)
        if theirs is None:
            return dropped(context, state)
        if isinstance(theirs, Applied):
            state.data = theirs.data
            alone = newest(theirs.stored.envelope.writes) == write.id and not attempt
            return Outcome("saved" if alone else "merged", CookieAction.KEEP)
        stored = theirs
        payload = context.codec.dumps(state.data)
        if _unchanged(context, state, stored, payload):
            return Outcome("merged", CookieAction.KEEP)
    raise still_contested()


def _unchanged(context: Context, state: SessionState, stored: StoredSession, payload: bytes) -> bool:
    if state.is_empty:  # what was left in it was taken out at once: it is over
        return False
    envelope = stored.envelope
    if envelope.codec is not context.codec:
        payload = envelope.codec.dumps(state.data)
    return payload == envelope.payload and state.metadata_unchanged(envelope.meta)


def _write(
    context: Context, state: SessionState, stored: StoredSession, payload: bytes, write: Write
) -> Flow[Outcome | Conflict | Gone | Lost]:
    """Try once to store *payload*, or the session's end when nothing is left in it."""
    if state.is_empty:
        ended = yield from write_tombstone(context, stored.key, stored.version)
        if isinstance(ended, Conflict | Gone):
            return ended
        state.reset()
        report_ended(context, stored.key, stored.owner, "logout")
        return Outcome("saved", CookieAction.DELETE)
    written = revised(context, state, stored, token=stored.token, payload=payload, write=write.id)
    answer = yield from write_over(context, stored, written, write)
    if not isinstance(answer, StoredSession):
        return answer
    state.build_on(written, redeliver=state.redeliver)
    return Outcome("saved", CookieAction.KEEP)


def write_over(
    context: Context, base: StoredSession, written: StoredSession, write: Write
) -> Flow[StoredSession | Conflict | Gone | Lost]:
    """Store *written*, as a try of *write*, over *base*, and return it with its new version."""
    data = context.seal(written)
    try:
        answer = yield from replace(written.key, data, base.version, written.expires_at, written.owner)
    except StoreUnavailable as error:
        return write.lose(error, newest(base.envelope.writes))
    if isinstance(answer, Conflict | Gone):
        return answer
    written.version = answer
    return written


def _keep_alive(
    context: Context, state: SessionState, stored: StoredSession, *, due: bool, confirm: bool
) -> Flow[Outcome]:
    if confirm:
        found = yield from resolve(
            context, stored.token, stored.key, (yield from load(stored.key, fresh=True)), now=context.clock(), late=True
        )
        if isinstance(found, Rejected):
            return dropped(context, state)
        if found[0].token != stored.token:  # the token that this request knows is about to end
            stored, state.data = found
            state.build_on(stored, redeliver=True)
    if due:
        expires_at = context.expires_at(stored.envelope, context.clock())
        if not (yield from touch(stored.key, expires_at)):
            return dropped(context, state)
        stored.expires_at = expires_at
    return _KEPT


def reconcile(
    context: Context,
    state: SessionState,
    stored: StoredSession,
    answer: Conflict | Gone | Lost,
    write: Write,
) -> Flow[StoredSession | Applied | None]:
    """Merge into the session what another request stored first, and return that as what to build on.

    Returns None when the session is over. A renewal is followed to the new token; a rotation is the end of the old id.
    From the second time on it waits first, to let the others pass.

    Returns `Applied` when *write* is applied already: an answer was lost, here or between a driver and its server.

    Raises:
        SessionConflict: The policy is not to merge, and the request asks for no login, logout or rotation.
        StoreUnavailable: An answer was lost, and whether the write is applied is unknown.
    """
    if isinstance(answer, Gone):
        return None
    current = None
    if isinstance(answer, Conflict):
        context.events.emit("conflicts")
        current = answer.current
    if write.reconciled:
        yield from pause(_delay(write.reconciled))
        current = None  # what the conflict brought along is old by now
    write.reconciled += 1
    record = current or (yield from load(stored.key, fresh=True))
    found = yield from resolve(context, stored.token, stored.key, record, now=context.clock(), late=True)
    if isinstance(found, Rejected):
        if found.reason == "superseded":
            state.login_begins_anew = True
            context.events.emit("superseded", handle=stored.key)
        return None
    theirs, their_data = found
    applied = write.is_applied(theirs.envelope.writes)
    if not applied and (theirs.key, theirs.version) != (stored.key, stored.version):
        may_fail = context.policy.on_conflict == "error" and not state.changes.new_token
        if may_fail and _clashes(state, stored, theirs):
            raise SessionConflict("another request changed the session first: repeat the request")
        if not state.changes.wiped:
            state.data = merged(context, state, stored, their_data)
    state.build_on(theirs, redeliver=state.redeliver or theirs.token != stored.token)
    return Applied(theirs, their_data) if applied else theirs


def _clashes(state: SessionState, stored: StoredSession, theirs: StoredSession) -> bool:
    """Return whether both sides changed data, and not only the mark of a renewal."""
    only_marked = state.renewed_from is not None and not state.differs
    return theirs.envelope.payload != stored.envelope.payload and not only_marked


def merged(context: Context, state: SessionState, stored: StoredSession, theirs: dict[Any, Any]) -> dict[Any, Any]:
    """Return the data of *state*, which began from *stored*, with what others made of them."""
    dumps = context.codec.dumps

    def same(a: Any, b: Any) -> bool:
        encoded: bool = dumps({"": a}) == dumps({"": b})
        return encoded

    base = stored.envelope.codec.loads(stored.envelope.payload)
    context.events.emit("merges")
    merged = merge(base, state.data, theirs, same=same)
    merged.update(state.changes.reapplied(theirs))
    return merged


def _delay(attempt: int) -> float:
    """Return how long to wait before the next try, in milliseconds: longer each time, at most 50, with jitter."""
    return random.uniform(0, min(2**attempt, 50))  # noqa: S311  # jitter, not a secret


def still_contested() -> SessionConflict:
    """Return the error for a session that others kept changing until the tries were used up."""
    return SessionConflict("other requests kept changing the session: repeat the request")
