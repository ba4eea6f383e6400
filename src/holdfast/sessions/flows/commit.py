"""The end of a request: decide what the session needs, and make new ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from holdfast.errors import SessionConflict
from holdfast.records.tokens import new_token
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import end_session, ended_meanwhile
from holdfast.sessions.flows.limit import check_room, make_room
from holdfast.sessions.flows.rotate import rotate
from holdfast.sessions.flows.save import dropped, revised, save
from holdfast.sessions.ops import Flow, create, delete
from holdfast.sessions.state import (
    PERMANENT,
    Changes,
    CookieAction,
    Outcome,
    SessionState,
    StoredSession,
    cookie_action,
)

#: What a request says of a login where nothing is kept of it.
NO_METADATA: Mapping[str, str | None] = MappingProxyType({})

NOTHING = Outcome("unchanged", CookieAction.NONE)

#: A request that only read, and took this long (milliseconds), looks again before it sends the cookie anew: a login may
#: have overtaken it, whose cookie must stay.
OVERTAKEN = 10


def commit(
    context: Context,
    state: SessionState,
    *,
    refresh: bool = False,
    login_metadata: Mapping[str, str | None] = NO_METADATA,
    can_set_cookie: bool = True,
) -> Flow[Outcome]:
    """Carry out what the request asked of its session. May be called again for what is asked afterwards.

    Args:
        context: The application's circumstances.
        state: The state of the request.
        refresh: The cookie is due to be sent again, changed or not.
        login_metadata: What is kept of the request where the session, or a login, begins with it; None removes it.
        can_set_cookie: The response can carry a cookie. If not, the token is not renewed.

    Raises:
        EncodeError, RecordTooLarge: The session cannot be stored. What was stored is intact.
        SessionConflict: Another request was first; see `holdfast.errors.SessionConflict`.
        StoreUnavailable: The store failed. Whether the session was stored is unknown.
    """
    if not state.opened:
        return NOTHING
    changes = state.changes
    changes.meta = {**login_metadata, **changes.meta}
    marked = changes.marked or bool(changes.assigned)
    overtaken = refresh and context.clock() - state.opened_at >= OVERTAKEN
    # A token that is sent anew must not be one that a login has replaced since it was looked up.
    confirm = state.redeliver or marked or overtaken
    permanent = bool(state.data.get(PERMANENT, context.policy.permanent))
    try:
        outcome = yield from _carry_out(context, state, confirm=confirm, can_set_cookie=can_set_cookie)
    except SessionConflict:
        context.emit("saves", outcome="conflict")
        raise
    context.emit("saves", outcome=outcome.result)
    state.changes = Changes()
    state.pending = state.exposed
    was_permanent, state.was_permanent = state.was_permanent, permanent
    cookie = cookie_action(
        outcome,
        permanent=permanent,
        was_permanent=was_permanent,
        refresh=refresh or state.redeliver,
        marked=marked,
    )
    return Outcome(outcome.result, cookie)


def _carry_out(context: Context, state: SessionState, *, confirm: bool, can_set_cookie: bool) -> Flow[Outcome]:
    changes, stored = state.changes, state.stored
    if state.read_only:
        return NOTHING if state.is_empty else dropped(context, state)
    if changes.rebind and changes.owner is not None:
        yield from check_room(context, changes.owner, stored)
    if stored is None:
        return NOTHING if state.is_empty else (yield from _create(context, state))
    if (changes.wiped or changes.rebind) and state.is_empty:
        return (yield from _end(context, state, stored))
    if changes.new_token or (can_set_cookie and _renewal_due(context, state, stored)):
        return (yield from rotate(context, state, stored))
    return (yield from save(context, state, stored, confirm=confirm))


def _renewal_due(context: Context, state: SessionState, stored: StoredSession) -> bool:
    return not state.background and context.policy.renewal_due(stored.envelope.issued_at, context.clock())


def _create(context: Context, state: SessionState) -> Flow[Outcome]:
    made = revised(context, state, None, token=new_token())
    version = yield from create(made.key, context.seal(made), made.expires_at, made.owner)
    if version is None:  # the token is taken, which has the odds of guessing one
        return (yield from _create(context, state))
    made.version = version
    if made.owner is not None and (yield from ended_meanwhile(context, made.owner, state.started_at, made.key)):
        yield from delete(made.key)
        return dropped(context, state)
    if made.owner is not None and not (yield from make_room(context, made, made.owner)):
        return dropped(context, state)
    state.build_on(made)
    context.emit("created", handle=made.key, owner=made.owner)
    if made.owner is not None:
        context.emit("bound", handle=made.key, owner=made.owner)
    return Outcome("saved", CookieAction.SEND)


def _end(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    ended = yield from end_session(context, stored.key, stored.version, stored.owner)
    if ended is None:
        outcome = dropped(context, state)
    else:
        context.emit("ended", handle=ended, owner=stored.owner, reason="logout")
        outcome = Outcome("saved", CookieAction.DELETE)
    state.reset()
    return outcome
