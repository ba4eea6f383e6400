"""Give a session a new token: at login, on request, and as a periodic renewal.

The order holds in every interleaving: index the new key, create the new record, replace the old one by a tombstone
if it is still what was loaded. Whoever ends the session in between makes the last step fail, and the new record goes.
"""

from __future__ import annotations

from typing import NamedTuple

from holdfast.errors import StoreUnavailable
from holdfast.records.envelope import Fate, Tombstone, encode
from holdfast.records.record import Conflict, Gone, Version
from holdfast.records.tokens import new_token, seal_successor
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.ending import ended_meanwhile
from holdfast.sessions.flows.limiting import make_room
from holdfast.sessions.flows.saving import dropped, reconcile, save, still_contested
from holdfast.sessions.mapping import Loaded, Opened, Outcome, ServerSession
from holdfast.sessions.ops import Flow, create, delete, load, move, replace
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


def rotate(context: Context, session: ServerSession, loaded: Loaded) -> Flow[Outcome]:
    """Move the session to a new token, with its changes and what other requests changed meanwhile."""
    wishes = session.wishes
    renewal = not (wishes.rotate or wishes.wiped or wishes.rebind)
    for attempt in range(context.policy.attempts):
        moved, tombstone = _plan(context, session, loaded, renewal=renewal)
        answer = yield from _move(context, loaded, moved, tombstone)
        if not isinstance(answer, Conflict | Gone):
            moved.version = answer
            return (yield from _moved(context, session, loaded, moved))
        theirs = yield from reconcile(context, session, loaded, answer, attempt)
        if theirs is None:
            return dropped(context, session)
        if renewal and theirs.key != loaded.key:
            return (yield from save(context, session, theirs))
        loaded = theirs
    raise still_contested()


def _plan(context: Context, session: ServerSession, loaded: Loaded, *, renewal: bool) -> tuple[Loaded, Tombstone]:
    """Return the session under a new token, not yet stored, and what is to be left under the old one."""
    now, wishes, owner = context.clock(), session.wishes, session.owner
    reborn = wishes.wiped or (wishes.rebind and owner is not None)
    envelope = context.envelope(
        context.codec.dumps(session.data),
        created_at=now if reborn else loaded.envelope.created_at,
        issued_at=now,
        meta=session.meta_upon(loaded.envelope.meta, permanent=context.policy.permanent),
    )
    token = new_token()
    key = context.keys.key_of(token)
    until = now + context.policy.grace
    if renewal:
        tombstone = Tombstone(Fate.ALIAS, until, key, seal_successor(loaded.token, token))
    else:
        # Whoever ends a session that was logged out or replaced must not end the one that begins in its place.
        goes_on = not wishes.wiped and not (wishes.rebind and owner is None)
        tombstone = Tombstone(Fate.SUPERSEDED, until, key if goes_on else None)
    return Loaded(token, key, 0, context.expires_at(envelope, now), owner, envelope), tombstone


def _move(context: Context, loaded: Loaded, moved: Loaded, tombstone: Tombstone) -> Flow[Version | Conflict | Gone]:
    step = Rotation(
        loaded.key,
        moved.key,
        context.seal(moved.envelope, token=moved.token, key=moved.key, owner=moved.owner),
        encode(tombstone),
        expect=loaded.version,
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
    old = yield from load(step.old)
    if old is not None and old.data == step.tombstone:
        new = yield from load(step.new)
        return new.version if new is not None else Gone()
    yield from delete(step.new)
    raise error


def _moved(context: Context, session: ServerSession, loaded: Loaded, moved: Loaded) -> Flow[Outcome]:
    wishes = session.wishes
    owner = moved.owner if wishes.rebind else None
    if owner is not None and (yield from ended_meanwhile(context, session, owner, loaded.key, moved.key)):
        yield from delete(moved.key)
        return dropped(context, session)
    if owner is not None and not (yield from make_room(context, moved, owner)):
        return dropped(context, session)
    session.opened = Opened(moved, session.data)
    context.emit("rotated", handle=moved.key, previous=loaded.key)
    if wishes.wiped:
        context.emit("ended", handle=loaded.key, owner=loaded.owner, reason="replaced")
    elif wishes.rebind and moved.owner is None:
        context.emit("ended", handle=loaded.key, owner=loaded.owner, reason="logout")
    if owner is not None:
        context.emit("bound", handle=moved.key, owner=owner)
    return Outcome("saved", "send")
