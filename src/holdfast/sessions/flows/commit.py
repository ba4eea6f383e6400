"""The end of a request: decide what the session needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from holdfast.errors import SessionConflict, StoreUnavailable
from holdfast.events import EndReason
from holdfast.records.metadata import PREVIOUS
from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import dropped
from holdfast.sessions.flows.limit import check_room
from holdfast.sessions.flows.open import Found, Rejected
from holdfast.sessions.ops import Flow, purge
from holdfast.sessions.state import (
    NOTHING,
    PERMANENT,
    Changes,
    CookieAction,
    Outcome,
    SessionState,
    StoredSession,
    cookie_action,
)
from holdfast.stores.contract import Purges

#: What a request says of a login where nothing is kept of it.
NO_METADATA: Mapping[str, str | None] = MappingProxyType({})

#: A request that only read, and took this long (milliseconds), looks again before it sends the cookie anew: a login may
#: have overtaken it, whose cookie must stay.
OVERTAKEN = 10

#: A store that does not remove expired records by itself: after so many new tokens at most so many are removed.
PURGE_EVERY, _PURGED = 100, 200


class RequestFlows(Protocol):
    """How sessions are kept: what a request does to one, as flows."""

    def has_form(self, value: str, /) -> bool:
        """Return whether *value* has the form of a cookie's value."""

    def find(self, context: Context, state: SessionState, value: str, /) -> Flow[Found | Rejected]:
        """Return the live session of a cookie's *value*. *state* gets its key, live or not."""

    def create(self, context: Context, state: SessionState, /) -> Flow[Outcome]:
        """Make a session of *state*."""

    def confirm_renewal(self, context: Context, key: str, stored: Any, /) -> Flow[bool]:
        """Let the token of *key*, which that of *stored* replaced, be valid for the grace period only.

        Return False if the session is over.
        """

    def log_out(self, context: Context, state: SessionState, stored: Any, /) -> Flow[Outcome]:
        """End the session, for the user who asked for it."""

    def end_presented(self, context: Context, key: str, reason: EndReason, /) -> Flow[bool]:
        """End the session that the token of *key* leads to, though it was not opened; return whether it was live."""

    def rotate(self, context: Context, state: SessionState, stored: Any, /) -> Flow[Outcome]:
        """Give the session a new token, with the changes of *state*."""

    def save(self, context: Context, state: SessionState, stored: Any, /, *, confirm: bool) -> Flow[Outcome]:
        """Write what *state* changed, if anything. With *confirm* find out whether the session still lives."""

    def still_valid(self, context: Context, session: SessionState | str, /) -> Flow[bool]:
        """Return whether the session of a state, or of a cookie's value, lives. Nothing is written."""


def commit(
    context: Context,
    state: SessionState,
    *,
    flows: RequestFlows = in_store,
    refresh: bool = False,
    login_metadata: Mapping[str, str | None] = NO_METADATA,
    can_set_cookie: bool = True,
) -> Flow[Outcome]:
    """Carry out what the request asked of its session. May be called again for what is asked afterwards.

    Args:
        context: The application's circumstances.
        state: The state of the request.
        flows: How the sessions are kept. Default: in a store.
        refresh: The cookie is due to be sent again, changed or not.
        login_metadata: What is kept of the request where the session, or a login, begins with it; None removes it.
        can_set_cookie: The response can carry a cookie. If not, the token is not renewed.

    Raises:
        EncodeError, RecordTooLarge: The session cannot be stored. What was stored is intact, unless the request ended
            it: then it is over.
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
        if state.beside and (changes.signs_in or state.logs_out):
            outcome = yield from _carry_out_alone(context, flows, state, confirm=confirm, can_set_cookie=can_set_cookie)
        else:
            outcome = yield from _carry_out(context, flows, state, confirm=confirm, can_set_cookie=can_set_cookie)
    except SessionConflict:
        context.events.emit("saves", outcome="conflict")
        raise
    context.events.emit("saves", outcome=outcome.result)
    state.changes, state.renewed_from = Changes(), None
    state.pending = state.exposed
    was_permanent, state.was_permanent = state.was_permanent, permanent
    cookie = cookie_action(
        outcome,
        permanent=permanent,
        was_permanent=was_permanent,
        refresh=refresh or state.redeliver,
        marked=marked,
    )
    if outcome.cookie is CookieAction.SEND and Purges in context.capabilities:
        yield from _purge_now_and_then(context)
    return Outcome(outcome.result, cookie)


def _carry_out(
    context: Context, flows: RequestFlows, state: SessionState, *, confirm: bool, can_set_cookie: bool
) -> Flow[Outcome]:
    changes, stored = state.changes, state.stored
    if state.drops_changes:
        return (yield from _drop(context, flows, state))
    previous = state.renewed_from
    if previous is not None and not (yield from flows.confirm_renewal(context, previous, stored)):
        return dropped(context, state)
    if changes.rebind and changes.owner is not None:
        yield from check_room(context, changes.owner, stored)
    if stored is None:
        return NOTHING if state.is_empty else (yield from flows.create(context, state))
    if (changes.wiped or changes.rebind) and state.is_empty:
        return (yield from flows.log_out(context, state, stored))
    if changes.new_token or (can_set_cookie and _renewal_due(context, state, stored)):
        return (yield from _rotate(context, flows, state, stored))
    return (yield from flows.save(context, state, stored, confirm=confirm))


def _carry_out_alone(
    context: Context, flows: RequestFlows, state: SessionState, *, confirm: bool, can_set_cookie: bool
) -> Flow[Outcome]:
    """Carry out a login or a logout that also ends the other sessions that its browser presented.

    A login comes after that; a logout comes first, and ends as many as it can.
    """
    logs_out, beside = state.logs_out, state.beside
    if not logs_out:
        yield from _end_each(context, flows, beside, "replaced")
        return (yield from _carry_out(context, flows, state, confirm=confirm, can_set_cookie=can_set_cookie))
    try:
        outcome = yield from _carry_out(context, flows, state, confirm=confirm, can_set_cookie=can_set_cookie)
    finally:
        ended = yield from _end_each(context, flows, beside, "logout")
    return Outcome("saved", CookieAction.DELETE) if ended and outcome == NOTHING else outcome


def _end_each(context: Context, flows: RequestFlows, keys: tuple[str, ...], reason: EndReason) -> Flow[bool]:
    """End the sessions under *keys*, those that can be ended even if one cannot, and return whether one was live."""
    live, failure = False, None
    for key in keys:
        try:
            live |= yield from flows.end_presented(context, key, reason)
        except StoreUnavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return live


def _rotate(context: Context, flows: RequestFlows, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """Give the session a new token. One that the request ends is over even if nothing can begin in its place."""
    changes = state.changes
    try:
        return (yield from flows.rotate(context, state, stored))
    except Exception as error:
        if not state.changes_user:
            raise
        outcome = yield from flows.log_out(context, state, state.stored or stored)
        if not isinstance(error, StoreUnavailable) or changes.owner is not None:
            raise
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
    return not (state.background or waits) and context.policy.renewal_due(stored.envelope.issued_at, context.clock())


def _purge_now_and_then(context: Context) -> Flow[None]:
    if next(context.new_tokens) % PURGE_EVERY == 0:
        try:
            yield from purge(context.clock(), _PURGED)
        except StoreUnavailable as error:  # the session was saved all the same
            context.events.emit("store_unavailable", error=error)
