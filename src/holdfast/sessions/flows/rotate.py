"""Give a session a new token: at login, on request, and as a periodic renewal.

The order holds in every interleaving: index the new key, create the new record, replace the old one by a tombstone
if it is still what was loaded. An end of the session in between makes the last step fail, and the new record goes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

from holdfast.errors import StoreUnavailable
from holdfast.records.envelope import Tombstone, TombstoneKind, control_in
from holdfast.records.metadata import PREVIOUS, UNFINISHED
from holdfast.records.record import Conflict, Gone, Rotation, Version
from holdfast.records.tokens import seal_successor
from holdfast.sessions.flows.commit import create as begin
from holdfast.sessions.flows.commit import revised, save, sealed
from holdfast.sessions.flows.context import Context, offset_of
from holdfast.sessions.flows.end import LONGEST_REQUEST, SESSION_ENDED, dropped, follow, log_out, refused, report_ended
from holdfast.sessions.flows.finish import EVERYONE, at_most_twice, deliver_unsure, finish_login
from holdfast.sessions.flows.open import Rejected, resolve
from holdfast.sessions.flows.reconcile import Applied, Write, reconcile, still_contested
from holdfast.sessions.flows.visitor import seal_secrets
from holdfast.sessions.ops import Call, Flow, create, delete, load, move, replace
from holdfast.sessions.policy import SKEW
from holdfast.sessions.state import Changes, CookieAction, Outcome, SessionState, StoredSession
from holdfast.stores.contract import Rotates

_Answer: TypeAlias = Version | Conflict | Gone


def rotate(context: Context, state: SessionState, stored: StoredSession, *, renewal: bool, ends: bool) -> Flow[Outcome]:
    """Move the session to a new token, with its changes and what other requests changed meanwhile."""
    write = Write()
    while not write.exhausted:
        planned = _plan(context, state, stored, renewal=renewal, ends=ends)
        try:
            answer = yield from _move(context, state, stored, planned, write)
        except StoreUnavailable:
            if not renewal:  # after which the old token leads on
                deliver_unsure(context, state, planned[0], stored.token)
            raise
        if isinstance(answer, StoreUnavailable):
            raise answer
        if isinstance(answer, StoredSession):
            return (yield from _moved(context, state, stored, answer))
        theirs = yield from reconcile(context, state, stored, answer, write)
        if theirs is None:
            return (yield from _replaced_meanwhile(context, state, stored))
        found = theirs.stored if isinstance(theirs, Applied) else theirs
        if renewal and found.key != stored.key:
            return (yield from save(context, state, found))
        stored = found
    if renewal:
        raise still_contested()
    return (yield from _take_over(context, state, stored, write, ends=ends))


def _take_over(
    context: Context, state: SessionState, stored: StoredSession, write: Write, *, ends: bool
) -> Flow[Outcome]:
    """Rotate a session that others kept changing: delete it, so that none of them can, and begin it under a new token.

    What others store between its last lookup and its deletion is lost. Each conditional call could lose again, no
    store returns what it deletes, and a login is not refused for what other requests store.
    """
    found = yield from reconcile(context, state, stored, Conflict(), write)
    if found is None:
        return (yield from _replaced_meanwhile(context, state, stored))
    stored = found.stored if isinstance(found, Applied) else found
    moved, tombstone = _plan(context, state, stored, renewal=False, ends=ends)
    data = sealed(context, moved, write)
    if not (yield from delete(stored.key)):
        return (yield from _replaced_meanwhile(context, state, stored))
    version = yield from create(moved.key, data, moved.expires_at, moved.owner)
    if version is None:
        return dropped(context, state)
    moved.version = version
    left = context.sealer.seal_control(tombstone, stored.key)
    yield from create(stored.key, left, tombstone.until)
    return (yield from _moved(context, state, stored, moved))


def _replaced_meanwhile(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """Drop the rotation of a session that is over, or has another token by now.

    A logout ends the session under that token. A login begins a session of its own, unless the session of the same user
    was ended: then it is refused.
    """
    if state.logs_out:
        return (yield from log_out(context, state, stored))
    if not state.proves_identity:
        return dropped(context, state)
    begins = not state.logs_in_again(stored)
    if state.begins_anew and not begins:
        trail: list[str] = []
        record = yield from load(stored.key, fresh=True)
        begins = (yield from follow(context, stored.key, record, trail)) is not None or len(trail) == 1
    if not begins:
        raise refused(context, stored.key, SESSION_ENDED)
    state.begin_anew()
    return (yield from begin(context, state))


def _plan(
    context: Context, state: SessionState, stored: StoredSession, *, renewal: bool, ends: bool
) -> tuple[StoredSession, Tombstone]:
    """Return the session under a new token, not yet stored, and what is to be left under the old one."""
    moved = revised(context, state, stored)
    if renewal:
        # The response may be lost, so the old token leads on until the new one is presented.
        moved.envelope.meta[PREVIOUS] = stored.key
        sealed = seal_successor(stored.token, moved.token)
        return moved, Tombstone(TombstoneKind.ALIAS, moved.expires_at, moved.key, sealed)
    until = moved.envelope.issued_at + context.policy.grace
    moved.envelope.meta.pop(PREVIOUS, None)
    # The end of a session that was logged out or replaced must not end the one that begins in its place.
    tombstone = Tombstone(TombstoneKind.SUPERSEDED, until, None if ends else moved.key)
    changes = state.changes
    had_secrets = changes.wiped or not changes.assigned.isdisjoint(context.policy.visitor_keys)
    if had_secrets and (changes.signs_in or changes.flagged):
        tombstone = dataclasses.replace(tombstone, sealed=seal_secrets(context, stored, tombstone.write))
    return moved, tombstone


def _move(
    context: Context, state: SessionState, stored: StoredSession, planned: tuple[StoredSession, Tombstone], write: Write
) -> Flow[StoredSession | Conflict | Gone | StoreUnavailable]:
    """Carry out a planned rotation, once, and return the session under its new token, as it is stored.

    An error is returned if it was not carried out, and raised if that is unknown.
    """
    moved, tombstone = planned
    step = Rotation(
        stored.key,
        moved.key,
        sealed(context, moved, write),
        context.sealer.seal_control(tombstone, stored.key),
        expect=stored.version,
        expires_at=moved.expires_at,
        grace_until=tombstone.until,
        owner=moved.owner,
    )
    answer = yield from _move_surely(step, move if Rotates in context.capabilities else _move_in_steps)
    current = answer.current if isinstance(answer, Conflict) else None
    if current is not None and current.data == step.tombstone:  # an answer was lost
        return (yield from _as_moved(context, state, moved, step))
    if isinstance(answer, Conflict | Gone | StoreUnavailable):
        return answer
    moved.version = answer
    return moved


def _as_moved(
    context: Context, state: SessionState, moved: StoredSession, step: Rotation
) -> Flow[StoredSession | Gone]:
    """Return what a rotation stored whose answer was lost, with what others that followed it changed since."""
    new = yield from load(step.new, fresh=True)
    if new is not None and new.data == step.data:
        moved.version = new.version
        return moved
    found = yield from resolve(context, moved.token, moved.key, new, now=context.clock())
    if isinstance(found, Rejected):
        return Gone()
    state.data = found.data
    return found.stored


def _move_surely(
    step: Rotation, attempt: Callable[[Rotation], Flow[_Answer] | Call[_Answer]]
) -> Flow[_Answer | StoreUnavailable]:
    """Return the answer to *attempt*; if it is lost, find out, so that neither both ids work nor none.

    `Conflict` brings along the record under the old key. The error is returned if nothing was moved.
    """
    for is_last in (False, True):
        try:
            answer = yield from attempt(step)
        except StoreUnavailable as error:
            old = yield from at_most_twice(lambda: load(step.old, fresh=True))  # else the session may be lost
            moved = old is not None and old.data == step.tombstone
            in_steps = attempt is not move  # of which the first one may have been carried out
            if not moved and ((is_last and in_steps) or old is None or old.version != step.expect):
                yield from delete(step.new)
            if old is None:
                return Gone()
            if moved or old.version != step.expect:
                return Conflict(old)
            if is_last:
                return error
        else:
            if answer == Conflict():
                old = yield from load(step.old, fresh=True)
                return Conflict(old) if old is not None else Gone()
            return answer
    return Gone()


def _move_in_steps(step: Rotation) -> Flow[_Answer]:
    version = yield from create(step.new, step.data, step.expires_at, step.owner)
    if version is None:
        new = yield from load(step.new, fresh=True)
        if new is None or new.data != step.data:
            return Conflict()
        version = new.version
    answer = yield from replace(step.old, step.tombstone, step.expect, step.grace_until)
    if isinstance(answer, Conflict | Gone):
        current = answer.current if isinstance(answer, Conflict) else None
        if current is None or current.data != step.tombstone:
            yield from delete(step.new)
        return answer
    return version


def confirm_renewal(context: Context, key: str, stored: StoredSession) -> Flow[bool]:
    """Let the alias under *key* lead new requests to *stored* for the grace period only: its token was presented.

    A save of a request that began before the renewal is led on for an hour more. An alias of a session that was taken
    over is stored for longer than it leads on, and stays. Returns True: an end under the old key ended *stored* too.
    """
    record = yield from load(key, fresh=True)
    alias = control_in(context.sealer.read, record, key, Tombstone)
    until = context.clock() + context.policy.grace
    if record is not None and alias is not None and alias.successor == stored.key and alias.until > until:
        kept = record.expires_at if record.expires_at > alias.until else until + LONGEST_REQUEST + SKEW
        alias = dataclasses.replace(alias, until=until)
        data = context.sealer.seal_control(alias, key)
        yield from replace(key, data, record.version, kept)
    return True


def _moved(context: Context, state: SessionState, stored: StoredSession, moved: StoredSession) -> Flow[Outcome]:
    if state.changes.rebind and moved.owner is not None:
        try:
            yield from finish_login(context, moved, moved.owner, state.started_for, stored.key)
        except StoreUnavailable:
            yield from postpone(context, state, moved, stored)
            report_rotated(context, state.changes, stored, moved)
            raise
    return delivered(context, state, stored, moved)


def delivered(context: Context, state: SessionState, stored: StoredSession, moved: StoredSession) -> Outcome:
    """Report that *moved* has taken the place of *stored*, and return the outcome, with which the response sends it."""
    state.stored, state.redeliver = moved, False
    report_rotated(context, state.changes, stored, moved)
    return Outcome("saved", CookieAction.SEND)


def postpone(context: Context, state: SessionState, stored: StoredSession, previous: StoredSession) -> Flow[None]:
    """Mark a login that could not be finished, and give the browser its token.

    Without the mark, the cookie says that the login is unfinished: see `deliver_unsure`.
    """
    deliver_unsure(context, state, stored, previous.token)
    offset = yield from offset_of(context)
    stored.envelope.meta[UNFINISHED] = f"{state.started_for(stored.owner or EVERYONE, offset)} {previous.key}"
    data = sealed(context, stored, Write())
    answer = yield from replace(stored.key, data, stored.version, stored.expires_at, stored.owner)
    if not isinstance(answer, Conflict | Gone):
        stored.version, state.stored = answer, stored


def report_rotated(context: Context, changes: Changes, old: StoredSession, new: StoredSession) -> None:
    """Emit that *new* has taken the place of *old*, and what *changes* made of it: an end, a login."""
    context.events.emit("rotated", handle=new.key, previous=old.key)
    if changes.rebind and new.owner is None and not changes.wiped:
        report_ended(context, old.key, old.owner, "logout")
    elif changes.wiped or old.owner not in (None, new.owner):
        report_ended(context, old.key, old.owner, "replaced")
    if changes.rebind and new.owner is not None:
        context.events.emit("bound", handle=new.key, owner=new.owner)
