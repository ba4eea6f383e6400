"""Take over a session from the place where it was before, once, at its first request.

The key of the old id is the anchor: an alias is created there that leads to a new session under a new token, as after a
renewal. Of requests at once exactly one creates it. It stays for as long as the old session may be found, so that a
session which ended is not taken over again, though nothing is removed from the old place.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from holdfast.errors import EncodeError, RecordTooLarge
from holdfast.imports.place import OldPlace, OldSession
from holdfast.records.envelope import Tombstone, TombstoneKind
from holdfast.records.metadata import AUTHENTICATED_AT, PREVIOUS, UNFINISHED, UNUSED
from holdfast.records.record import Record
from holdfast.records.tokens import seal_successor
from holdfast.sessions.flows import open as opening
from holdfast.sessions.flows.commit import create_once, revised, sealed
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import end_presented
from holdfast.sessions.flows.open import Found, Rejected
from holdfast.sessions.flows.reconcile import Write
from holdfast.sessions.ops import Call, Flow, delete, load
from holdfast.sessions.policy import RETENTION
from holdfast.sessions.state import Changes, SessionState, StoredSession

#: What became of an old session: it was taken over now, or before, or it is left; it ended, or cannot be read.
TakenOver: TypeAlias = Literal["now", "before", "left", "ended", "unreadable"]


class _OldLoad(Call[OldSession | None]):
    """A load from the place where sessions were before. It is timed as a load from the store."""

    def run(self, _store: object) -> OldSession | None:
        """Return the session there."""
        place, old_id = self.args
        found: OldSession | None = place.load(old_id)
        return found


def find(context: Context, state: SessionState, value: str) -> Flow[Found | Rejected]:
    """Return the live session of a cookie's *value*: a token, or an id of the place where sessions were before."""
    found, place = (yield from opening.find(context, state, value)), context.old_place
    is_led = isinstance(found, Found) and found.redeliver
    is_unknown = isinstance(found, Rejected) and found.reason in ("unknown_id", "malformed")
    if place is None or not (is_led or is_unknown) or not place.has_form(value):
        return found
    if is_led and not (yield from _has_other_user(context, place, value, found)):
        return found
    key = state.presented = context.keys.key_of(value)
    anchor = yield from load(key, fresh=True)
    if anchor is not None:
        found = yield from opening.found_at(context, state, value, key, anchor)
        if not (yield from _has_other_user(context, place, value, found)):
            return found
    found_old = yield from _read_old(context, place, value, state)
    if isinstance(found_old, Rejected):
        return found_old
    try:
        is_first = yield from _keep(context, value, *found_old, anchor)
    except RecordTooLarge:  # for this store
        return Rejected("corrupt")
    if is_first and isinstance(found, Found):
        yield from end_presented(context, found.stored.key, "replaced")
    return (yield from opening.found_at(context, state, value, key, (yield from load(key, fresh=True))))


def _has_other_user(context: Context, place: OldPlace, old_id: str, found: Found | Rejected) -> Flow[bool]:
    """Return whether another user than that of *found*, or nobody, has been signed in since in the old place.

    A server of the other library, in a deployment or after a rollback, keeps the id at a login and a logout. Both are
    judged by the keys that are set now: with those of before the session would end whenever they are changed.
    """
    if isinstance(found, Rejected):
        return False
    old = yield from _OldLoad("load", (place, old_id))
    return old is not None and old.data is not None and context.owner_named(old.data) != context.owner_named(found.data)


def take_over_unused(context: Context, old_id: str, *, dry_run: bool = False) -> Flow[TakenOver]:
    """Take over the session of *old_id* without a request, unless *dry_run*. Its life is not extended."""
    key, place = context.keys.key_of(old_id), context.old_place
    if place is None or (yield from load(key, fresh=True)) is not None:
        return "before"
    state = SessionState(context.clock())
    state.background = True
    found_old = yield from _read_old(context, place, old_id, state)
    if isinstance(found_old, Rejected):
        return "unreadable" if found_old.reason == "corrupt" else "ended"
    if dry_run:
        return "left"
    try:
        return "now" if (yield from _keep(context, old_id, *found_old)) else "before"
    except RecordTooLarge:
        return "unreadable"


def _read_old(
    context: Context, place: OldPlace, old_id: str, state: SessionState
) -> Flow[tuple[OldSession, StoredSession] | Rejected]:
    """Return the session of *old_id* and the one to store for it, or why there is none."""
    if context.policy.not_before is not None:  # when it began is unknown
        return Rejected("expired_absolute")
    old = yield from _OldLoad("load", (place, old_id))
    if old is None:
        return Rejected("unknown_id")
    made = _session_of(context, old, state)
    return Rejected("corrupt") if made is None else (old, made)


def _keep(
    context: Context, old_id: str, old: OldSession, made: StoredSession, before: Record | None = None
) -> Flow[bool]:
    """Store the new session of *old_id*, and the alias that leads to it; return False if another request was first.

    *before* is the record that the alias replaces. Both are masked with the old id, which is in clear in the old place.
    """
    anchor, until = context.keys.key_of(old_id), _end_of(context, old)
    made.envelope.meta[PREVIOUS] = anchor
    if made.owner is not None:  # a cut-off that is found when it is opened covers it: it began before
        made.envelope.meta[UNFINISHED] = f"0 {made.key}"
    alias = Tombstone(TombstoneKind.ALIAS, until, made.key, seal_successor(old_id, made.token))
    yield from create_once(made.key, sealed(context, made, Write()), made.expires_at, made.owner)
    left = context.sealer.seal_control(alias, anchor)
    instead = None if before is None else before.version
    if (yield from create_once(anchor, left, until + RETENTION, instead=instead)) is None:
        yield from delete(made.key)
        return False
    context.events.emit("imported", handle=made.key, owner=made.owner)
    return True


def _session_of(context: Context, old: OldSession, state: SessionState) -> StoredSession | None:
    """Return the session to store for *old*; None if its data cannot be. When its user authenticated is unknown."""
    if old.data is None:
        return None
    wanted = SessionState(state.started_at, data=old.data)
    owner = context.owner_named(old.data)
    wanted.changes = Changes(rebind=owner is not None, owner=owner)
    try:
        made = revised(context, wanted, None)
    except (EncodeError, RecordTooLarge):
        return None
    for name in (AUTHENTICATED_AT, UNUSED):
        made.envelope.meta.pop(name, None)
    if state.background and old.expires_at is not None:
        made.expires_at = min(made.expires_at, old.expires_at + RETENTION)
    return made


def _end_of(context: Context, old: OldSession) -> int:
    """Return until when the old session may be found: servers of a rollback or of a deployment may extend its life."""
    now, policy = context.clock(), context.policy
    return max(old.expires_at, now + policy.idle) if old.expires_at is not None else now + policy.absolute
