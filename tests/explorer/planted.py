"""Ways to get sessions wrong: the real flows with one thing changed in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.relay import relay
from explorer.schedules import Actor, Footprint
from explorer.world import ALICE, KEYS
from support import seams

from holdfast.clock import HOUR
from holdfast.records.envelope import Cutoff, Envelope, Tombstone, decode, encode
from holdfast.records.record import Conflict, Gone, Page, Record, Rotation, Version
from holdfast.sessions.flows import limit as limiting
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import Ended, end_session
from holdfast.sessions.flows.finish import Began
from holdfast.sessions.flows.listing import info_of, records_of
from holdfast.sessions.flows.revoke import Written
from holdfast.sessions.ops import Call, Flow, create, delete, load, scan
from holdfast.sessions.ops import replace as replace_record
from holdfast.sessions.state import CookieAction, Outcome, SessionState, StoredSession

_CUTOFF = KEYS.cutoff_key(ALICE)
_Move = Flow[Version | Conflict | Gone]


def tombstone_before_the_new_record(step: Rotation) -> _Move:
    """Rotate in steps, the two main ones swapped."""
    answer = yield from replace_record(step.old, step.tombstone, step.expect, step.grace_until)
    if isinstance(answer, Conflict | Gone):
        return answer
    version = yield from create(step.new, step.data, step.expires_at, step.owner)
    assert version is not None
    return version


def index_after_the_tombstone(step: Rotation) -> _Move:
    """Rotate in steps, and make the new record known to the index last, as is usual."""
    version = yield from create(step.new, step.data, step.expires_at)
    assert version is not None
    answer = yield from replace_record(step.old, step.tombstone, step.expect, step.grace_until)
    if isinstance(answer, Conflict | Gone):
        yield from delete(step.new)
        return answer
    indexed = yield from replace_record(step.new, step.data, version, step.expires_at, step.owner)
    return indexed


def no_undo(step: Rotation) -> _Move:
    """Rotate in steps, and leave the new record when the old one was changed by another."""
    version = yield from create(step.new, step.data, step.expires_at, step.owner)
    assert version is not None
    answer = yield from replace_record(step.old, step.tombstone, step.expect, step.grace_until)
    return answer if isinstance(answer, Conflict | Gone) else version


def both_ids_live(step: Rotation) -> _Move:
    """Rotate without a tombstone."""
    version = yield from create(step.new, step.data, step.expires_at, step.owner)
    assert version is not None
    return version


def delete_only(context: Context, key: str, version: Version, owner: str | None, reason: str) -> Flow[Ended | None]:
    """End a session by deleting the record that was loaded, wherever the session has gone."""
    return Ended(key, certain=True) if (yield from delete(key)) else None


def follow_nothing(_context: Context, key: str, record: Record | None) -> Flow[tuple[str, Record] | None]:
    """Stop at a tombstone, so that ending a session does not find its renewed one."""
    yield from ()
    lives = record is not None and isinstance(decode(record.data), Envelope)
    return (key, record) if record is not None and lives else None


def mine(
    base: Mapping[Any, Any], mine: Mapping[Any, Any], theirs: Mapping[Any, Any], *, same: object
) -> dict[Any, Any]:
    """Merge by dropping what the other one saved."""
    return dict(mine)


def theirs(
    base: Mapping[Any, Any], mine: Mapping[Any, Any], theirs: Mapping[Any, Any], *, same: object
) -> dict[Any, Any]:
    """Merge by dropping what this one saves."""
    return dict(theirs)


def apply_once(changes: object, data: Mapping[Any, Any]) -> dict[Any, Any]:
    """Do not apply the functions again to what another request left."""
    return {}


_plan = seams.ROTATE_PLAN.sound
_save = seams.SAVE.sound
_pop_from = seams.POP_STORED.sound


def lead_on(
    context: Context, state: SessionState, stored: StoredSession, **options: Any
) -> tuple[StoredSession, Tombstone]:
    """Let every tombstone lead to the new record, even where another session begins."""
    moved, tombstone = _plan(context, state, stored, **options)
    return moved, replace(tombstone, successor=moved.key)


def save_unconfirmed(context: Context, state: SessionState, stored: StoredSession) -> Any:
    """Send a cookie without a write that finds out whether its session lives."""
    if state.differs:
        return (yield from _save(context, state, stored))
    return Outcome("unchanged", CookieAction.SEND)


def the_last_clock(context: Context, owner: str, kept: list[str], *, began: Began | None) -> Flow[Written]:
    """Write over a cut-off without a look at what it says."""
    key, now = context.keys.cutoff_key(owner), context.clock()
    record = yield from load(key)
    data = encode(Cutoff(now, kept[-1] if kept else None))
    if record is None:
        yield from create(key, data, now + HOUR)
    else:
        yield from replace_record(key, data, record.version, now + HOUR)
    return Written(now, spares_request=True)


def no_cut_off(context: Context, owner: str, kept: list[str], *, began: Began | None) -> Flow[Written]:
    """End all of a user's sessions without a word to the logins that are under way."""
    yield from ()
    return Written(context.clock(), spares_request=True)


def keep_the_handle(_context: Context, kept: list[str]) -> Flow[None]:
    """Keep the session that has the handle, but not where it moves."""
    yield from ()


@dataclass(frozen=True, slots=True)
class Overwrite:
    """A save that does not look at what is there, nor at whether anything is."""

    key: str
    data: bytes
    expires_at: int
    owner: str | None

    @property
    def footprint(self) -> Footprint:
        """Return what it touches."""
        return Footprint(adds=frozenset(("index",)), writes=frozenset((self.key,)))

    def run(self, store: Any) -> Any:
        """Write over the record, or make one."""
        store.delete(self.key)
        return store.create(self.key, self.data, expires_at=self.expires_at, owner=self.owner)


def _overwriting(flow: Actor, kind: type) -> Actor:
    def around(operation: Any) -> Actor:
        match operation:
            case Call("replace", (key, data), named) if isinstance(decode(data), kind):
                return (yield Overwrite(key, data, named["expires_at"], named["owner"]))
            case _:
                return (yield operation)

    return relay(flow, around)


def overwrite_sessions(flow: Actor) -> Actor:
    """Save without a version to expect."""
    return _overwriting(flow, Envelope)


def overwrite_with_tombstones(flow: Actor) -> Actor:
    """Leave a tombstone without a version to expect."""
    return _overwriting(flow, Tombstone)


def reviving_touch(flow: Actor) -> Actor:
    """Keep a session alive by writing back what was loaded."""
    seen: dict[str, Record] = {}

    def around(operation: Any) -> Actor:
        match operation:
            case Call("touch", (key,), {"expires_at": expires_at}):
                return (yield Overwrite(key, seen[key].data, expires_at, seen[key].owner))
            case Call("load", (key,)):
                seen[key] = yield operation
                return seen[key]
            case _:
                return (yield operation)

    return relay(flow, around)


def save_what_is_gone(flow: Actor) -> Actor:
    """Make the record again that was deleted before it could be saved."""

    def around(operation: Any) -> Actor:
        answer = yield operation
        match operation:
            case Call("replace", (key, data), named) if isinstance(answer, Gone) and isinstance(decode(data), Envelope):
                return (yield from create(key, data, named["expires_at"], named["owner"]))
            case _:
                return answer

    return relay(flow, around)


def cut_off_not_read(flow: Actor) -> Actor:
    """Log in without a look at the cut-off."""
    logs_in = False

    def around(operation: Any) -> Actor:
        nonlocal logs_in
        logs_in = logs_in or (isinstance(operation, Call) and operation.kwargs.get("owner") is not None)
        reads = isinstance(operation, Call) and (operation.name, operation.args) == ("load", (_CUTOFF,))
        return None if logs_in and reads else (yield operation)

    return relay(flow, around)


def list_once(flow: Actor) -> Actor:
    """End all of a user's sessions that the first listing shows."""
    listed = False

    def around(operation: Any) -> Actor:
        nonlocal listed
        lists = isinstance(operation, Call) and operation.name == "find"
        again, listed = listed, listed or lists
        return Page((), None) if again and lists else (yield operation)

    return relay(flow, around)


def walk_once(context: Any, *, progress: object = None, stride: int = 1) -> Flow[int]:
    """Walk over the store a single time, and leave tombstones alone."""
    ended = 0
    after = None
    while True:
        page = yield from scan(after, stride)
        for key, record in page.items:
            if isinstance(decode(record.data), Envelope):
                ended += (yield from end_session(context, key, record.version, record.owner, "revoked")) is not None
        after = page.after
        if after is None:
            return ended


def end_all_others(context: Any, stored: Any, owner: str) -> Flow[bool]:
    """End every other session, including later logins."""
    for other in (yield from limiting._others(context, owner, stored.key)):
        yield from delete(other[0].handle)
    return True


def stop_at_tombstones(context: Any, owner: str, key: str) -> Flow[list[Any]]:
    """Count what the index shows, but not what has just moved."""
    found = []
    for listed, record in (yield from records_of(owner)):
        info = info_of(context, listed, record)
        if info is not None and listed != key and info.owner == owner:
            found.append(limiting._Other(info, record))
    return found


def count_first(context: Any, owner: str, loaded: Any) -> Flow[None]:
    """Make room before the login's session is stored."""
    others = yield from limiting._others(context, owner, loaded.key if loaded else "")
    for other in others[: len(others) - context.policy.max_per_user + 1]:
        yield from delete(other.info.handle)


def nothing_afterwards(context: Any, stored: Any, owner: str) -> Flow[bool]:
    """Count no more once the session is stored."""
    yield from ()
    return True


def take_what_is_there(context: Any, state: SessionState, key: str) -> Flow[bool]:
    """Remove the key as an ordinary change at the end, as reading and deleting it would."""
    yield from ()
    return key in state.data


def do_not_look_again(context: Any, state: SessionState, without: Any) -> Flow[bool]:
    """Answer by the state at the lookup, regardless of the order."""
    there = state.stored is not None and without(state.stored.envelope) is not None
    yield from _pop_from(context, state, without)
    return there
