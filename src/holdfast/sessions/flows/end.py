"""End sessions: one, one by its handle, or all of a user's, so that no request in flight brings one back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from holdfast.clock import HOUR
from holdfast.errors import DecodeError, RecordTooLarge, StoreError, StoreUnavailable
from holdfast.events import EndReason, RevokeResult
from holdfast.records.envelope import Cutoff, Tombstone, TombstoneKind, decode, encode
from holdfast.records.record import Conflict, Gone, Record, Version
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import decode_session
from holdfast.sessions.flows.reporting import dropped, report_ended
from holdfast.sessions.flows.write import unless_mine
from holdfast.sessions.ops import Flow, confirm, create, delete, find, load, replace
from holdfast.sessions.policy import SKEW
from holdfast.sessions.state import NOTHING, CookieAction, Outcome, SessionState, StoredSession
from holdfast.stores.contract import Confirms, Indexes

if TYPE_CHECKING:
    from typing_extensions import Self

#: Longer than any request that may still log in.
CUTOFF_LIFETIME = HOUR
#: How many records a step of the walk through a user's sessions asks for.
_PAGE = 500
#: The limit of a page that has all that is left, so that no rotation slips between two pages.
_LARGEST_PAGE = 500_000

#: More moves of one session than a grace period has room for. A trail of tombstones that is longer, or leads in a
#: circle, was forged in the store.
_LONGEST_TRAIL = 100


class Ended(NamedTuple):
    """The end of the session under *key*. *certain*: no request in flight can bring it back under another key."""

    key: str
    certain: bool


class Written(NamedTuple):
    """A cut-off that was written. *spares_request*: no earlier one covers the request that asked for it."""

    at: int
    spares_request: bool


class RevokedCount(int):
    """How many sessions were ended.

    Attributes:
        outcome: ``confirmed``; or ``unconfirmed``, where the store could not keep what stops the logins and rotations
            that were in flight: it was full, or failed. All sessions that were listed are over nevertheless.
    """

    outcome: RevokeResult

    def __new__(cls, number: int, outcome: RevokeResult) -> Self:
        """Return *number* with its *outcome*."""
        count = super().__new__(cls, number)
        count.outcome = outcome
        return count


def end_session(
    context: Context,
    key: str,
    version: Version,
    owner: str | None,
    reason: EndReason,
    *,
    still: Callable[[str, Record], bool] = lambda key, record: True,  # noqa: ARG005
) -> Flow[Ended | None]:
    """End the session stored under *key*, for *reason*; return under which key, or None if it was over already.

    A concurrent save does not prevent it, nor does a concurrent rotation, unless it changed the user. It stops if
    *still* returns False for the key and the record that the session has after such a change.
    """
    for _ in range(context.policy.attempts):
        answer = yield from write_tombstone(context, key, version)
        if isinstance(answer, Gone):
            return None
        if isinstance(answer, Ended):
            break
        found = yield from follow(key, answer.current or (yield from load(key, fresh=True)))
        if found is None or found[1].owner != owner or not still(*found):
            return None
        key, version = found[0], found[1].version
    else:
        yield from delete(key)
        answer = Ended(key, certain=False)
    report_ended(context, key, owner, reason)
    return answer


def log_out(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """End the session of a request that asked for it."""
    ended = yield from end_session(context, stored.key, stored.version, stored.owner, "logout")
    outcome = dropped(context, state) if ended is None else Outcome("saved", CookieAction.DELETE)
    state.reset()
    return outcome


def log_out_presented(context: Context, state: SessionState, key: str) -> Flow[Outcome]:
    """End the session under *key*, or where that was moved to, for a request that did not open it.

    Raises:
        StoreUnavailable: Nothing could be ended.
    """
    found = yield from follow(key, (yield from load(key, fresh=True)))
    ended = None
    if found is not None:
        ended = yield from end_session(context, found[0], found[1].version, found[1].owner, "logout")
    state.reset(read_only=True)
    return NOTHING if ended is None else Outcome("saved", CookieAction.DELETE)


def write_tombstone(context: Context, key: str, version: Version) -> Flow[Ended | Conflict | Gone]:
    """End the session under *key* if it still has *version*; return that, or why not.

    The tombstone makes a save in flight fail with `Conflict`, and is then deleted. Where it cannot be written, because
    the store is full or fails, the session is deleted all the same.

    Raises:
        StoreUnavailable, RecordTooLarge: Neither was possible.
    """
    until = context.clock() + context.policy.grace
    tombstone = encode(Tombstone(TombstoneKind.ENDED, until))
    try:
        answer = unless_mine((yield from replace(key, tombstone, version, until)), tombstone)
    except (StoreUnavailable, RecordTooLarge) as error:
        context.emit("store_unavailable", error=error)
        return (yield from _delete_instead(key, version, tombstone, until, error))
    if isinstance(answer, Conflict | Gone):
        return answer
    return (yield from _delete_ended(key))


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
        raise error from None
    return Ended(key, certain=False)


def follow(key: str, record: Record | None, passed: list[str] | None = None) -> Flow[tuple[str, Record] | None]:
    """Return the record under *key*, or the one that its tombstone leads to, with its key; *passed* gets all keys."""
    passed = [] if passed is None else passed
    passed.append(key)
    while record is not None and len(passed) <= _LONGEST_TRAIL:
        try:
            body = decode(record.data)
        except DecodeError:
            return key, record
        if not isinstance(body, Tombstone):
            return key, record
        if body.successor is None:
            return None
        key = body.successor
        passed.append(key)
        record = yield from load(key, fresh=True)
    return None


def revoke(context: Context, handle: str) -> Flow[RevokeResult]:
    """End the session with *handle*, or the one it was rotated to within the grace period."""
    found = yield from follow(handle, (yield from load(handle, fresh=True)))
    if found is None:
        return "absent"
    key, record = found
    ended = yield from end_session(context, key, record.version, record.owner, "revoked")
    if ended is None:
        return "absent"
    return "confirmed" if ended.certain and (yield from is_confirmed(context, ended.key)) else "unconfirmed"


def is_confirmed(context: Context, key: str) -> Flow[bool]:
    """Return whether the store confirms the writes to *key*; True where it has nothing to confirm."""
    if not context.store_can(Confirms):
        return True
    try:
        return (yield from confirm(key))
    except StoreUnavailable:  # the session was ended nevertheless
        return False


def revoke_all(
    context: Context, owner: str, *, keep: str | None = None, state: SessionState | None = None
) -> Flow[RevokedCount]:
    """End every session of *owner* that began before now, except the one with the handle *keep*; return how many.

    A login by the request with *state* begins after that, unless an earlier cut-off covers the request; nor does *keep*
    count then, or if it is over.

    The cut-off comes first: a login that is under way finds it and gives way. Then the index is walked and what it
    leads to is ended, again and again, until a walk of one page shows nothing new. A rotation that is under way has
    indexed its new key before its old one becomes a tombstone, so a tombstone is followed by another walk; and of two
    pages, the first may lack the new key and the second the old one, so such a walk is not the last. A rotation of the
    session to *keep* is followed, except between the steps of one on a store that does not `Rotates`. What began after
    the cut-off is not ended by another walk, so logins at any rate do not prevent the end of this.

    A store that cannot keep the cut-off does not prevent the rest: see `RevokedCount`.
    """
    kept = [] if keep is None else [keep]
    yield from _follow_kept(kept)
    began = state.started_for(owner) if state is not None else None
    cutoff = yield from _try_cutoff(context, owner, kept, began)
    if state is not None and cutoff is not None and cutoff.spares_request:
        state.ended_all_at[owner] = cutoff.at
    at = cutoff.at if cutoff is not None else context.clock()
    met: set[str] = set()
    ended, limit = list[Ended](), _PAGE
    is_complete = False
    for walk in range(context.policy.attempts):
        known, after, pages = len(met), None, 0
        while after is not None or not pages:
            page = yield from find(owner, after, limit)
            yield from _follow_kept(kept)
            new = {key: record for key, record in page.items if key not in met and key not in kept}
            if walk:  # before that another host's clock may be ahead
                new = {key: record for key, record in new.items() if not _began_after(context, key, record, at)}
            ended += yield from _end_each(context, owner, new)
            met.update(new)
            after, pages = page.after, pages + 1
        is_complete = len(met) == known and (pages == 1 or limit > _LARGEST_PAGE)
        if is_complete:
            break
        limit *= 10 if len(met) == known else 1
    certain = cutoff is not None and is_complete and all(session.certain for session in ended)
    return RevokedCount(len(ended), "confirmed" if certain else "unconfirmed")


def _began_after(context: Context, key: str, record: Record, moment: int) -> bool:
    """Return whether *record* is a session that began after *moment*: a login that a cut-off then does not concern."""
    session = decode_session(context, key, record)
    return session is not None and session.created_at > moment


def _try_cutoff(context: Context, owner: str, kept: list[str], began: int | None) -> Flow[Written | None]:
    """Write the cut-off if the store can. Clear *kept* if an earlier one covers that session."""
    try:
        written = yield from write_cutoff(context, owner, kept, began=began)
    except (StoreUnavailable, RecordTooLarge) as error:
        context.emit("store_unavailable", error=error)
        return None
    if not written.spares_request:
        kept.clear()
    return written


def _end_each(context: Context, owner: str, found: dict[str, Record]) -> Flow[list[Ended]]:
    """End those of the records *found*, by their keys, that are sessions of *owner*, and return their ends."""
    ended = []
    for key, record in found.items():
        if record.owner == owner:
            end = yield from end_session(context, key, record.version, owner, "revoked")
            ended += [] if end is None else [end]
    return ended


def _follow_kept(kept: list[str]) -> Flow[None]:
    """Add to *kept*, the keys that a session has had, those that it got since. A page may be older than the last."""
    passed: list[str] = []
    if kept and (yield from follow(kept[-1], (yield from load(kept[-1], fresh=True)), passed)) is not None:
        kept += passed[1:]


def write_cutoff(
    context: Context,
    owner: str,
    kept: Sequence[str],
    *,
    began: int | None = None,
    lifetime: int = CUTOFF_LIFETIME,
) -> Flow[Written]:
    """End every session of *owner* that began before now, but for that with the keys *kept*, the last one its present.

    *began* is when the request that asks for it began, or its session was last known to be live: if an earlier cut-off
    covers that, *kept* does not count. The cut-off is kept for *lifetime* milliseconds.
    """
    key = context.keys.cutoff_key(owner)
    while True:
        record = yield from load(key, fresh=True)
        now = context.clock()
        before = read_cutoff(record, now)
        spares = before is None or began is None or before.at < began or before.keep in kept
        # Another server's clock may be ahead, and what it has ended stays ended. A later cut-off has a later time.
        at = max(now, before.at + 1) if before else now
        data, expires_at = encode(Cutoff(at, kept[-1] if kept and spares else None)), now + lifetime
        if record is None:
            if (yield from create(key, data, expires_at)) is not None:
                return Written(at, spares)
        elif not isinstance((yield from replace(key, data, record.version, expires_at)), Conflict | Gone):
            return Written(at, spares)


def read_cutoff(record: Record | None, now: int) -> Cutoff | None:
    """Return the cut-off in *record*, or None where there is none that can be read, or it lies ahead of *now*.

    Clocks differ by `SKEW` at most. A later one was forged, and must not keep its owner out for ever.
    """
    try:
        body = decode(record.data) if record is not None else None
    except DecodeError:  # a damaged one says nothing, and must not keep its owner out
        return None
    return body if isinstance(body, Cutoff) and body.at <= now + SKEW else None


def ended_meanwhile(context: Context, owner: str, started_at: int, *keys: str) -> Flow[bool]:
    """Return whether all of the owner's sessions were ended since *started_at*, when a login under *keys* began."""
    if not context.store_can(Indexes):
        return False
    cutoff = read_cutoff((yield from load(context.keys.cutoff_key(owner), fresh=True)), context.clock())
    return cutoff is not None and cutoff.at >= started_at and cutoff.keep not in keys
