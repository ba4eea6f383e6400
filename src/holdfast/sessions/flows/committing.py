"""The end of a request: decide what the session needs, and make new ones."""

from __future__ import annotations

from dataclasses import replace

from holdfast.errors import SessionConflict
from holdfast.records.tokens import new_token
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.ending import ended_meanwhile, kill
from holdfast.sessions.flows.limiting import check_room, make_room
from holdfast.sessions.flows.rotating import rotate
from holdfast.sessions.flows.saving import dropped, save
from holdfast.sessions.mapping import Loaded, Opened, Outcome, ServerSession, Wishes
from holdfast.sessions.ops import Flow, create, delete

_NOTHING = Outcome("unchanged", "none")


def commit(context: Context, session: ServerSession, *, confirm: bool = False) -> Flow[Outcome]:
    """Carry out what the request asked of its session. May be called again for what is asked afterwards.

    With *confirm*, a session that did not change is looked up again, because its cookie is to be sent anew.

    Raises:
        EncodeError, RecordTooLarge: The session cannot be stored. What was stored is intact.
        SessionConflict: Another request was first; see `holdfast.errors.SessionConflict`.
        StoreUnavailable: The store failed. Whether the session was stored is unknown.
    """
    if session.opened is None:
        return _NOTHING
    # A token that is sent anew must not be one that a login has replaced since it was looked up.
    confirm = confirm or session.opened.deliver
    try:
        outcome = yield from _carry_out(context, session, session.opened, confirm=confirm)
    except SessionConflict:
        context.emit("saves", outcome="conflict")
        raise
    context.emit("saves", outcome=outcome.result)
    session.wishes = Wishes()
    if session.opened.deliver and outcome.cookie == "keep":
        return replace(outcome, cookie="send")
    return outcome


def _carry_out(context: Context, session: ServerSession, opened: Opened, *, confirm: bool) -> Flow[Outcome]:
    wishes, loaded = session.wishes, opened.loaded
    if opened.read_only:
        return _NOTHING if session.is_empty else dropped(context, session)
    if wishes.rebind and wishes.owner is not None:
        yield from check_room(context, wishes.owner, loaded)
    if loaded is None:
        return _NOTHING if session.is_empty else (yield from _create(context, session))
    if (wishes.wiped or wishes.rebind) and session.is_empty:
        return (yield from _end(context, session, loaded))
    if wishes.rotate or wishes.wiped or wishes.rebind or _renewal_due(context, session, loaded):
        return (yield from rotate(context, session, loaded))
    return (yield from save(context, session, loaded, confirm=confirm))


def _renewal_due(context: Context, session: ServerSession, loaded: Loaded) -> bool:
    due = context.policy.renewal_due(loaded.envelope.issued_at, context.clock())
    return due and session.delivers and not session.background


def _create(context: Context, session: ServerSession) -> Flow[Outcome]:
    now, owner = context.clock(), session.owner
    meta = session.meta_upon({}, permanent=context.policy.permanent)
    envelope = context.envelope(context.codec.dumps(session.data), created_at=now, issued_at=now, meta=meta)
    token = new_token()
    key = context.keys.key_of(token)
    expires_at = context.expires_at(envelope, now)
    version = yield from create(key, context.seal(envelope, token=token, key=key, owner=owner), expires_at, owner)
    if version is None:  # the token is taken, which has the odds of guessing one
        return (yield from _create(context, session))
    if owner is not None and (yield from ended_meanwhile(context, session, owner, key)):
        yield from delete(key)
        return dropped(context, session)
    stored = Loaded(token, key, version, expires_at, owner, envelope)
    if owner is not None and not (yield from make_room(context, stored, owner)):
        return dropped(context, session)
    session.opened = Opened(stored, session.data)
    context.emit("created", handle=key, owner=owner)
    if owner is not None:
        context.emit("bound", handle=key, owner=owner)
    return Outcome("saved", "send")


def _end(context: Context, session: ServerSession, loaded: Loaded) -> Flow[Outcome]:
    ended = yield from kill(context, loaded.key, loaded.version, loaded.owner)
    session.opened = Opened()
    if ended is None:
        return dropped(context, session)
    context.emit("ended", handle=ended, owner=loaded.owner, reason="logout")
    return Outcome("saved", "delete")
