"""End one session, so that no request in flight brings it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from holdfast.clock import HOUR
from holdfast.errors import LoginEnded, RecordTooLarge, StoreError, StoreUnavailable
from holdfast.events import EndReason
from holdfast.records.envelope import Tombstone, TombstoneKind, control_in
from holdfast.records.record import Conflict, Gone, Record, Version
from holdfast.sessions import ops
from holdfast.sessions.flows.context import Context
from holdfast.sessions.ops import Flow, confirm, delete, discard, load, replace
from holdfast.sessions.state import CookieAction, Outcome, SessionState, StoredSession
from holdfast.stores.contract import Confirms, Discards

#: Longer than any request that may still log in, or save what it changed.
LONGEST_REQUEST = HOUR
#: Why a login is refused whose own session was ended.
SESSION_ENDED = "the session was ended"
#: More moves of one session than a grace period has room for. A trail of tombstones that is longer, or leads in a
#: circle, was forged in the store.
_LONGEST_TRAIL = 100
#: From so many sessions on, it is worth a call to end them at once.
_MANY = 2


class Ended(NamedTuple):
    """The end of the session under *key*. *certain*: no request in flight can bring it back under another key."""

    key: str
    certain: bool


def dropped(context: Context, state: SessionState) -> Outcome:
    """Report that the session was over before its change could be stored, and return that: no cookie goes out."""
    context.events.emit("gone", handle=state.handle)
    return Outcome("gone", CookieAction.NONE)


def refused(context: Context, handle: str | None, ended: str) -> LoginEnded:
    """Report that a login is dropped, with the *handle* that it had or replaces, and return the error for it."""
    context.events.emit("gone", handle=handle)
    return LoginEnded(f"{ended} during the login: repeat it")


def report_ended(context: Context, key: str, owner: str | None, reason: EndReason) -> None:
    """Emit that the session under *key* is over."""
    context.events.emit("ended", handle=key, owner=owner, reason=reason)


def purge(context: Context, limit: int) -> Flow[int]:
    """Remove expired records, as the store's purge does with *limit*; report those that were a user's as ended."""

    def report(key: str, owner: str) -> None:
        report_ended(context, key, owner, "expired")

    return (yield from ops.purge(context.clock(), limit, report))


def end_session(
    context: Context,
    key: str,
    version: Version,
    owner: str | None,
    reason: EndReason,
    *,
    still: Callable[[str, Record], bool] = lambda key, record: True,  # noqa: ARG005
    successor: str | None = None,
) -> Flow[Ended | None]:
    """End the session stored under *key*, for *reason*; return under which key, or None if it was over already.

    A concurrent save does not prevent it, nor does a concurrent rotation, unless it changed the user. It stops if
    *still* returns False for the key and the record that the session has after such a change. *successor* is the key of
    the login that replaces it.
    """
    for _ in range(context.policy.attempts):
        answer = yield from write_tombstone(context, key, version, successor)
        if isinstance(answer, Gone):
            return None
        if isinstance(answer, Ended):
            break
        found = yield from follow(context, key, answer.current or (yield from load(key, fresh=True)))
        if found is None or found[1].owner != owner or not still(*found):
            return None
        key, version = found[0], found[1].version
    else:
        yield from delete(key)
        answer = Ended(key, certain=False)
    report_ended(context, key, owner, reason)
    return answer


def discard_all(
    context: Context, found: Mapping[str, Record], reason: EndReason
) -> Flow[tuple[list[Ended], dict[str, Record]]]:
    """End the sessions *found*, by their keys, for *reason*; return the ends of some, and the records of the rest.

    Those that were saved or moved meanwhile are among the rest; so are all, on a store that does not `Discards`.
    """
    if Discards not in context.capabilities or len(found) < _MANY:
        return [], dict(found)
    try:
        removed = yield from discard({key: record.version for key, record in found.items()})
    except StoreUnavailable as error:  # some may be over
        context.events.emit("store_unavailable", error=error)
        return (yield from _end_unchanged(context, found, reason))
    for key in removed:
        report_ended(context, key, found[key].owner, reason)
    rest = {key: record for key, record in found.items() if key not in removed}
    return [Ended(key, certain=True) for key in removed], rest


def _end_unchanged(
    context: Context, found: Mapping[str, Record], reason: EndReason
) -> Flow[tuple[list[Ended], dict[str, Record]]]:
    """End one by one, as `discard_all` does, the sessions *found*; those that are gone were ended by its lost call."""
    ended, rest = list[Ended](), dict[str, Record]()
    for key, record in found.items():
        answer = yield from write_tombstone(context, key, record.version)
        if isinstance(answer, Conflict):
            rest[key] = record
        else:
            ended.append(answer if isinstance(answer, Ended) else Ended(key, certain=True))
            report_ended(context, key, record.owner, reason)
    return ended, rest


def log_out(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """End the session of a request that asked for it."""
    ended = yield from end_session(context, stored.key, stored.version, stored.owner, "logout")
    outcome = dropped(context, state) if ended is None else Outcome("saved", CookieAction.DELETE)
    state.reset()
    return outcome


def end_presented(context: Context, key: str, reason: EndReason, successor: str | None = None) -> Flow[bool]:
    """End the session under *key*, or where that was moved to, and return whether it was live.

    *successor* is the key of the login that replaces it. `StoreUnavailable`: nothing could be ended.
    """
    found = yield from follow(context, key, (yield from load(key, fresh=True)))
    if found is None:
        return False
    key, record = found
    return (yield from end_session(context, key, record.version, record.owner, reason, successor=successor)) is not None


def write_tombstone(
    context: Context, key: str, version: Version, successor: str | None = None
) -> Flow[Ended | Conflict | Gone]:
    """End the session under *key* if it still has *version*; return that, or why not.

    The tombstone makes a save in flight fail with `Conflict`, and is then deleted, unless it leads to *successor*.
    Where it cannot be written, because the store is full or fails, the session is deleted all the same. An error means
    that neither was possible.
    """
    until = context.clock() + context.policy.grace
    kind = TombstoneKind.ENDED if successor is None else TombstoneKind.SUPERSEDED
    tombstone = context.sealer.seal_control(Tombstone(kind, until, successor), key)
    try:
        answer = unless_mine((yield from replace(key, tombstone, version, until)), tombstone)
    except (StoreUnavailable, RecordTooLarge) as error:
        context.events.emit("store_unavailable", error=error)
        return (yield from _delete_instead(key, version, tombstone, until, error))
    if isinstance(answer, Conflict | Gone):
        return answer
    return Ended(key, certain=True) if successor is not None else (yield from _delete_ended(key))


def _delete_ended(key: str) -> Flow[Ended]:
    with suppress(StoreUnavailable):  # the tombstone ends the session, and expires
        yield from delete(key)
    return Ended(key, certain=True)


def _delete_instead(
    key: str, version: Version, tombstone: bytes, until: int, error: StoreError
) -> Flow[Ended | Conflict | Gone]:
    """Delete the session under *key*, whose *tombstone* the store did not acknowledge, if it still has *version*.

    The tombstone is tried once more, since only it holds against a renewal at the same moment.
    """
    try:
        record = yield from load(key, fresh=True)
    except StoreUnavailable:
        pass  # what cannot be read may be deleted nevertheless
    else:
        if record is None:
            return Gone()
        if record.data == tombstone:
            return (yield from _delete_ended(key))
        if record.version != version:
            return Conflict(record)
        with suppress(StoreUnavailable, RecordTooLarge):
            answer = unless_mine((yield from replace(key, tombstone, version, until)), tombstone)
            return answer if isinstance(answer, Conflict | Gone) else (yield from _delete_ended(key))
    try:
        yield from delete(key)
    except StoreUnavailable:
        raise error from error.__cause__
    return Ended(key, certain=False)


def follow(
    context: Context, key: str, record: Record | None, passed: list[str] | None = None
) -> Flow[tuple[str, Record] | None]:
    """Return the record under *key*, or the one that its tombstone leads to, with its key; *passed* gets all keys."""
    passed = [] if passed is None else passed
    passed.append(key)
    while record is not None and len(passed) <= _LONGEST_TRAIL:
        body = control_in(context.sealer.read, record, key, Tombstone)
        if body is None:
            return key, record
        if body.successor is None:
            return None
        key = body.successor
        passed.append(key)
        record = yield from load(key, fresh=True)
    return None


def is_confirmed(context: Context, key: str) -> Flow[bool]:
    """Return whether the store confirms the writes to *key*; True where it has nothing to confirm."""
    if Confirms not in context.capabilities:
        return True
    try:
        return (yield from confirm(key))
    except StoreUnavailable:  # the session was ended nevertheless
        return False


def unless_mine(answer: Version | Conflict | Gone, data: bytes) -> Version | Conflict | Gone:
    """Return *answer*, or the version of the record if it holds the unique *data*: then the write is applied."""
    current = answer.current if isinstance(answer, Conflict) else None
    return current.version if current is not None and current.data == data else answer
