"""The end of a request: decide what the session needs, and write a new session, or one that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.events import EndReason
from holdfast.records.envelope import Envelope, extended, newest
from holdfast.records.metadata import AUTHENTICATED_AT, IMPERSONATOR, PREVIOUS, SENT_AT
from holdfast.records.record import Conflict, Gone, Version
from holdfast.records.tokens import new_token, read_unsure
from holdfast.sessions import ops
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import dropped, purge, report_ended, write_tombstone
from holdfast.sessions.flows.finish import finish_login, withdraw
from holdfast.sessions.flows.limit import check_room
from holdfast.sessions.flows.reconcile import Applied, Lost, Write, reconcile, still_contested
from holdfast.sessions.ops import Flow, delete, load, replace, touch
from holdfast.sessions.state import NOTHING, PERMANENT, Changes, CookieAction, Outcome, SessionState, StoredSession
from holdfast.stores.contract import Purges

if TYPE_CHECKING:
    from holdfast.sessions.flows.request_flows import RequestFlows

#: On a store that does not remove expired records by itself: the new tokens between two purges; the records that a step
#: of one looks at or removes; the steps, and the seconds after which no further step begins.
PURGE_EVERY, _PURGED, _PURGE_STEPS, _PURGE_SECONDS = 100, 50, 4, 0.025


def commit(context: Context, state: SessionState, flows: RequestFlows) -> Flow[Outcome]:
    """Carry out what the request asked of its session. May be called again for what is asked afterwards.

    Raises:
        EncodeError, RecordTooLarge: The session cannot be stored. The stored session is intact, unless the request
            ended it: then it is over.
        SessionConflict: Another request was first; see `holdfast.errors.SessionConflict`.
        StoreUnavailable: The store failed. Whether the session was stored is unknown.
    """
    if not state.opened:
        return NOTHING
    permanent = bool(state.data.get(PERMANENT, context.policy.permanent))
    if state.beside and (state.changes.signs_in or state.changes.flagged or state.logs_out):
        outcome = yield from _carry_out_alone(context, flows, state)
    else:
        outcome = yield from _carry_out(context, flows, state)
    state.changes, state.renewed_from = Changes(), None
    state.pending, state.was_permanent = state.exposed, permanent
    if outcome.cookie is CookieAction.SEND and next(context.new_tokens) % PURGE_EVERY == 0:
        yield from _purge(context)
    return outcome


def _carry_out(context: Context, flows: RequestFlows, state: SessionState) -> Flow[Outcome]:
    changes, stored = state.changes, state.stored
    if state.read_only and not state.begins_anew:
        return (yield from _drop(context, flows, state))
    previous = state.renewed_from
    is_over = previous is not None and not (yield from flows.confirm_renewal(context, previous, stored))
    if is_over and not state.proves_identity:
        return dropped(context, state)
    if state.remembered is not None and stored is None and changes.owner is not None:
        joined = yield from flows.join(context, state, state.remembered)
        if joined is not None:
            return joined
    if changes.rebind and changes.owner is not None and context.policy.max_per_user is not None:
        yield from check_room(context, changes.owner, stored)
    if stored is None and not state.is_empty and not state.can_set_cookie:
        return dropped(context, state)  # nobody would get its token
    if stored is None:
        return NOTHING if state.is_empty else (yield from flows.create(context, state))
    return (yield from _change(context, flows, state, stored))


def _change(context: Context, flows: RequestFlows, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    changes = state.changes
    if (changes.wiped or changes.rebind) and state.is_empty:
        return (yield from flows.log_out(context, state, stored))
    if state.exposed and not changes.new_token and stored.owner is None:
        changes.rotate = _names_another(context, state, stored)
    renewal, ends = not changes.new_token, state.changes_user
    if renewal and (context.policy.renewal is None or not _renewal_due(context, state, stored)):
        return (yield from flows.save(context, state, stored))
    try:
        return (yield from flows.rotate(context, state, stored, renewal=renewal, ends=ends))
    except Exception as error:
        if not ends or changes.meta.get(IMPERSONATOR):  # an operator who begins to impersonate does not sign out
            raise
        return (yield from _end_instead(context, flows, state, stored, error))


def _names_another(context: Context, state: SessionState, stored: StoredSession) -> bool:
    """Return whether a value under a key of a user's id, such as a profile, was changed in place: maybe by a login."""
    keys = [key for key in context.policy.identity_keys if isinstance(state.data.get(key), dict | list | set)]
    before = stored.envelope.codec.loads(stored.envelope.payload) if keys else {}
    return any(state.data[key] != before.get(key) for key in keys)


def _carry_out_alone(context: Context, flows: RequestFlows, state: SessionState) -> Flow[Outcome]:
    """Carry out a login or a logout that also ends the other sessions that its browser presented.

    A login comes after that; a logout comes first, and ends as many as it can.
    """
    logs_out, beside = state.logs_out, state.beside
    if not logs_out:
        token, stored = new_token(), state.stored
        state.new_token = token if stored is None else None
        successor = context.keys.key_of(token) if stored is None else stored.key
        yield from _end_each(context, flows, beside, "replaced", successor)
        return (yield from _carry_out(context, flows, state))
    try:
        outcome = yield from _carry_out(context, flows, state)
    finally:
        ended = yield from _end_each(context, flows, beside, "logout")
    return Outcome("saved", CookieAction.DELETE) if ended and outcome == NOTHING else outcome


def _end_each(
    context: Context, flows: RequestFlows, keys: tuple[str, ...], reason: EndReason, successor: str | None = None
) -> Flow[bool]:
    """End the sessions under *keys*, those that can be ended even if one cannot, and return whether one was live."""
    live, failure = False, None
    for key in keys:
        try:
            live |= yield from flows.end_presented(context, key, reason, successor)
        except StoreUnavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return live


def _end_instead(
    context: Context, flows: RequestFlows, state: SessionState, stored: StoredSession, error: Exception
) -> Flow[Outcome]:
    """End a session that the request ends, though nothing can begin in its place, because of *error*."""
    owner, known = state.changes.owner, state.stored or stored
    if read_unsure(known.sealed):  # it may be stored under either token
        yield from delete(known.key)
        known = stored
    outcome = yield from flows.log_out(context, state, known)
    if not isinstance(error, StoreUnavailable) or owner is not None:
        raise error
    context.events.emit("store_unavailable", error=error)
    return outcome


def _drop(context: Context, flows: RequestFlows, state: SessionState) -> Flow[Outcome]:
    """Store nothing of a read-only request. A logout still ends the session that its token leads to."""
    if state.logs_out and state.presented is not None:
        ended = yield from flows.end_presented(context, state.presented, "logout")
        state.reset(read_only=True)
        return Outcome("saved", CookieAction.DELETE) if ended else NOTHING
    return dropped(context, state) if state.maybe_changed and not state.is_empty else NOTHING


def _renewal_due(context: Context, state: SessionState, stored: StoredSession) -> bool:
    # Until the token of the last renewal is presented, its response may be lost.
    waits = PREVIOUS in stored.envelope.meta and state.renewed_from is None
    if waits or state.background or not state.can_set_cookie:
        return False
    return context.policy.renewal_due(stored.envelope.issued_at, context.clock(), navigation=state.navigation)


def _purge(context: Context) -> Flow[None]:
    """Remove expired records in steps, until there are no more, or enough, or it took too long for one request."""
    if Purges in context.capabilities:
        enough = context.timer() + _PURGE_SECONDS
        try:
            for _ in range(_PURGE_STEPS):
                if not (yield from purge(context, _PURGED)) or context.timer() > enough:
                    break
        except StoreUnavailable as error:  # the session was saved all the same
            context.events.emit("store_unavailable", error=error)


# --- writing ----------------------------------------------------------------------------------------------------------


def revised(
    context: Context,
    state: SessionState,
    base: StoredSession | None,
    *,
    token: str | None = None,
    payload: bytes | None = None,
    now: int | None = None,
    sends: bool = False,
) -> StoredSession:
    """Return the session as *state* wants it stored under *token*: a new one, or over *base*, with its version.

    By default the token is new. *payload* is the encoded data, and *now* the time, where they are known already.
    *sends*: its cookie is sent again.
    """
    token = token or new_token()
    known = base is not None and base.token == token
    key = base.key if base and known else context.keys.key_of(token)
    now, owner = context.clock() if now is None else now, state.owner
    changes, policy = state.changes, context.policy
    # An operator's login goes on while they act as a user and when they get back: both say when it was.
    begins = (changes.wiped or changes.signs_in) and AUTHENTICATED_AT not in changes.meta
    meta = state.merged_metadata(
        base.envelope.meta if base else {}, permanent=policy.permanent, namespace_mark=context.keys.namespace_mark
    )
    if sends:
        meta[SENT_AT] = str(now)
    elif not known:
        meta.pop(SENT_AT, None)
    payload = context.codec.dumps(state.data) if payload is None else payload
    if len(payload) > policy.max_bytes:
        raise RecordTooLarge(len(payload), policy.max_bytes)
    envelope = Envelope(
        created_at=now if base is None or begins else base.envelope.created_at,
        issued_at=base.envelope.issued_at if base and known else now,
        idle=policy.idle_of(meta),
        payload=payload,
        codec=context.codec,
        meta=meta,
        writes=base.envelope.writes if base else b"",
    )
    expires_at = policy.expires_at(envelope.created_at, now, meta)
    return StoredSession(token, key, base.version if base else 0, expires_at, owner, envelope)


def sealed(context: Context, made: StoredSession, write: Write) -> bytes:
    """Return the bytes to store for *made*, with the id of *write* in its history."""
    made.envelope.writes = extended(made.envelope.writes, write.id)
    return context.sealer.seal(made.envelope, token=made.token, key=made.key, owner=made.owner)


def create(context: Context, state: SessionState) -> Flow[Outcome]:
    """Store a new session with the data of *state*."""
    made = revised(context, state, None, token=state.new_token)
    state.new_token = None
    try:
        version = yield from create_once(made.key, sealed(context, made, Write()), made.expires_at, made.owner)
        made.version = version or 0
        if version is not None and made.owner is not None:
            yield from finish_login(context, made, made.owner, state.started_for)
    except StoreUnavailable:
        if made.owner is not None:
            yield from withdraw(context, state, made)
        raise
    if version is None:  # a token that is taken has the odds of guessing one
        raise StoreUnavailable("the store has another record under a new key, or takes none", permanent=True)
    return begun(context, state, made)


def begun(context: Context, state: SessionState, made: StoredSession) -> Outcome:
    """Report that *made* is a new session, and whose, and return the outcome, with which the response sends it."""
    state.stored, state.redeliver = made, False
    context.events.emit("created", handle=made.key, owner=made.owner)
    if made.owner is not None:
        context.events.emit("bound", handle=made.key, owner=made.owner)
    return Outcome("saved", CookieAction.SEND)


def save(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """Write the session if it changed, or if its cookie is due, with what other requests wrote meanwhile merged in."""
    policy, write, asked = context.policy, Write(), False
    while not write.exhausted:
        now, payload, ends = context.clock(), context.codec.dumps(state.data), state.is_empty
        # What was left in it may have been taken out at once: then it is over.
        changed = ends or not _unchanged(context, state, stored, payload)
        asked |= changed
        sends = state.cookie_due(policy, now, changed=changed)
        if not (changed or sends):
            due = not state.background and policy.touch_due(stored.envelope, stored.expires_at, now)
            restamp = due and stored.envelope.idle != policy.idle_of(stored.envelope.meta)
            if due and not restamp and not (yield from _touch(context, stored, now)):
                return dropped(context, state)
            if not restamp:
                return Outcome("merged" if asked else "unchanged", CookieAction.NONE)
        answer: Outcome | StoredSession | Conflict | Gone | Lost
        if ends:
            answer = yield from _end(context, state, stored)
        else:
            written = revised(context, state, stored, token=stored.token, payload=payload, now=now, sends=sends)
            answer = yield from write_over(context, stored, written, write)
        cookie = CookieAction.SEND if sends else CookieAction.NONE
        if isinstance(answer, Outcome):
            return Outcome("merged" if write.reconciled else "saved", answer.cookie)
        if isinstance(answer, StoredSession):
            state.stored, state.redeliver = answer, state.redeliver and not sends
            return Outcome(("merged" if write.reconciled else "saved") if asked else "unchanged", cookie)
        theirs = yield from reconcile(context, state, stored, answer, write)
        if theirs is None:
            return dropped(context, state)
        if isinstance(theirs, Applied):
            state.data = theirs.data
            alone = newest(theirs.stored.envelope.writes) == write.id and not write.reconciled
            return Outcome(("saved" if alone else "merged") if asked else "unchanged", cookie)
        stored = theirs
    raise still_contested()


def _unchanged(context: Context, state: SessionState, stored: StoredSession, payload: bytes) -> bool:
    envelope = stored.envelope
    if envelope.codec is not context.codec:
        payload = envelope.codec.dumps(state.data)
    return payload == envelope.payload and state.metadata_unchanged(envelope.meta)


def _touch(context: Context, stored: StoredSession, now: int) -> Flow[bool]:
    envelope = stored.envelope
    expires_at = context.policy.expires_at(envelope.created_at, now, envelope.meta)
    stored.expires_at = expires_at
    return (yield from touch(stored.key, expires_at))


def _end(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome | Conflict | Gone]:
    """End the session, in which nothing is left."""
    ended = yield from write_tombstone(context, stored.key, stored.version)
    if isinstance(ended, Conflict | Gone):
        return ended
    state.reset()
    report_ended(context, stored.key, stored.owner, "logout")
    return Outcome("saved", CookieAction.DELETE)


def write_over(
    context: Context, base: StoredSession, written: StoredSession, write: Write
) -> Flow[StoredSession | Conflict | Gone | Lost]:
    """Store *written*, as a try of *write*, over *base*, and return it with its new version."""
    data = sealed(context, written, write)
    try:
        answer = yield from replace(written.key, data, base.version, written.expires_at, written.owner)
    except StoreUnavailable as error:
        return write.lose(error, newest(base.envelope.writes))
    if isinstance(answer, (Conflict, Gone)):
        return answer
    written.version = answer
    return written


def create_once(
    key: str, data: bytes, expires_at: int, owner: str | None = None, *, instead: Version | None = None
) -> Flow[Version | None]:
    """Make a record of unique *data* under a new *key*, at the second try if need be; None if another exists.

    With *instead* it replaces the record of that version.
    """
    for is_last in (False, True):
        try:
            if instead is None:
                answer: Version | Conflict | Gone | None = yield from ops.create(key, data, expires_at, owner)
            else:
                answer = yield from ops.replace(key, data, instead, expires_at, owner)
        except StoreUnavailable:
            if is_last:
                raise
            record = yield from load(key, fresh=True)
            if record is None or record.version == instead:
                continue
        else:
            if not isinstance(answer, Conflict | Gone | None):
                return answer
            record = yield from load(key, fresh=True)
        return record.version if record is not None and record.data == data else None
    return None
