"""Give a session a new token: at login, on request, and as a periodic renewal.

The order holds in every interleaving: index the new key, create the new record, replace the old one by a tombstone
if it is still what was loaded. Whoever ends the session in between makes the last step fail, and the new record goes.
"""

from __future__ import annotations

from typing import NamedTuple

from holdfast.errors import StoreUnavailable
from holdfast.records.envelope import Tombstone, TombstoneKind, encode
from holdfast.records.record import Conflict, Gone, Version
from holdfast.records.tokens import new_token, seal_successor
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import ended_meanwhile
from holdfast.sessions.flows.limit import make_room
from holdfast.sessions.flows.reporting import dropped, report_rotated
from holdfast.sessions.flows.save import reconcile, revised, save, still_contested
from holdfast.sessions.ops import Flow, create, delete, load, move, replace
from holdfast.sessions.state import CookieAction, Outcome, SessionState, StoredSession
from holdfast.stores.contract import Rotates


class Rotation(NamedTuple):
    """What a rotation writes, as `holdfast.stores.contract.Rotates.move` takes it."""

    old: str
    new: str
    data: bytes
    tombstone: bytes
    expect: Version
    expires_at: int
    grace_until: int
    owner: str | None


def rotate(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """Move the session to a new token, with its changes and what other requests changed meanwhile."""
    renewal = not state.changes.new_token
    for attempt in range(context.policy.attempts):
        moved, tombstone = _plan(context, state, stored, renewal=renewal)
        answer = yield from _move(context, stored, moved, tombstone)
        if not isinstance(answer, Conflict | Gone):
            moved.version = answer
            return (yield from _moved(context, state, stored, moved))
        theirs = yield from reconcile(context, state, stored, answer, attempt)
        if theirs is None:
            return dropped(context, state)
        if renewal and theirs.key != stored.key:
            return (yield from save(context, state, theirs))
        stored = theirs
    raise still_contested()


def _plan(
    context: Context, state: SessionState, stored: StoredSession, *, renewal: bool
) -> tuple[StoredSession, Tombstone]:
    """Return the session under a new token, not yet stored, and what is to be left under the old one."""
    moved = revised(context, state, stored, token=new_token())
    until = moved.envelope.issued_at + context.policy.grace
    if renewal:
        return moved, Tombstone(TombstoneKind.ALIAS, until, moved.key, seal_successor(stored.token, moved.token))
    # Whoever ends a session that was logged out or replaced must not end the one that begins in its place.
    return moved, Tombstone(TombstoneKind.SUPERSEDED, until, None if state.changes_user else moved.key)


def _move(
    context: Context, stored: StoredSession, moved: StoredSession, tombstone: Tombstone
) -> Flow[Version | Conflict | Gone]:
    step = Rotation(
        stored.key,
        moved.key,
        context.seal(moved),
        encode(tombstone),
        expect=stored.version,
        expires_at=moved.expires_at,
        grace_until=tombstone.until,
        owner=moved.owner,
    )
    try:
        return (yield from (_move_at_once(step) if context.store_can(Rotates) else _move_in_steps(step)))
    except StoreUnavailable as error:
        return (yield from _settle(step, error))


def _move_at_once(step: Rotation) -> Flow[Version | Conflict | Gone]:
    old, new, data, tombstone, expect, expires_at, grace_until, owner = step
    return (
        yield from move(
            old, new, data, tombstone, expect=expect, expires_at=expires_at, grace_until=grace_until, owner=owner
        )
    )


def _move_in_steps(step: Rotation) -> Flow[Version | Conflict | Gone]:
    version = yield from create(step.new, step.data, step.expires_at, step.owner)
    if version is None:
        return Conflict()
    answer = yield from replace(step.old, step.tombstone, step.expect, step.grace_until)
    if isinstance(answer, Conflict | Gone):
        yield from delete(step.new)
        return answer
    return version


def _settle(step: Rotation, error: StoreUnavailable) -> Flow[Version | Conflict | Gone]:
    """Find out whether a move that failed was carried out, so that neither both ids work nor none."""
    old = yield from load(step.old, fresh=True)
    if old is not None and old.data == step.tombstone:
        new = yield from load(step.new, fresh=True)
        return new.version if new is not None else Gone()
    yield from delete(step.new)
    raise error


def _moved(context: Context, state: SessionState, stored: StoredSession, moved: StoredSession) -> Flow[Outcome]:
    changes = state.changes
    owner = moved.owner if changes.rebind else None
    if owner is not None and (
        yield from ended_meanwhile(context, owner, state.started_for(owner), stored.key, moved.key)
    ):
        yield from delete(moved.key)
        return dropped(context, state)
    if owner is not None and not (yield from make_room(context, moved, owner)):
        return dropped(context, state)
    state.build_on(moved)
    report_rotated(context, changes, stored, moved)
    return Outcome("saved", CookieAction.SEND)
