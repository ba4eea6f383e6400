"""End sessions by their handle, or all of a user's, so that no login or rotation in flight brings one back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.events import RevokeResult
from holdfast.records.envelope import Cutoff
from holdfast.records.metadata import REMEMBERED
from holdfast.records.record import Conflict, Gone, Record
from holdfast.sessions.flows.context import Context, offset_of
from holdfast.sessions.flows.end import Ended, discard_all, end_session, follow, is_confirmed
from holdfast.sessions.flows.finish import Began, at_most_twice, read_cutoff, stored_for
from holdfast.sessions.flows.listing import STRIDE, decode_session, open_own
from holdfast.sessions.ops import Flow, Pages, create, find, load, replace
from holdfast.sessions.state import SessionState

if TYPE_CHECKING:
    from typing_extensions import Self

#: The limit of a page that has all that is left, so that no rotation slips between two pages.
_LARGEST_PAGE = 500_000


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


def revoke(context: Context, handle: str) -> Flow[RevokeResult]:
    """End the session with *handle*, or the one it was rotated to within the grace period: see `Ends.revoke`.

    The remember-me cookie of its browser signs nobody in from now on.
    """
    found = yield from follow(context, handle, (yield from load(handle, fresh=True)))
    if found is None:
        return "absent"
    key, record = found
    session = open_own(context, key, record)
    if session is None:
        return "absent"
    remembered = session.meta.get(REMEMBERED)
    is_forgotten = remembered is None or (
        (yield from try_cutoff(context, context.keys.browser_key(remembered), [], None)) is not None
    )
    ended = yield from end_session(context, key, record.version, record.owner, "revoked")
    if ended is None:
        return "absent"
    certain = ended.certain and is_forgotten
    return "confirmed" if certain and (yield from is_confirmed(context, ended.key)) else "unconfirmed"


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
    session to *keep* is followed, except between the steps of one on a store that does not `Rotates`. A session that
    began after the cut-off is not ended by another walk, so logins at any rate do not prevent the end of this.

    A store that cannot keep the cut-off does not prevent the rest: see `RevokedCount`.
    """
    kept = [] if keep is None else [keep]
    yield from _follow_kept(context, kept)
    cutoff = yield from try_cutoff(context, owner, kept, state.started_for if state is not None else None)
    if state is not None and cutoff is not None and cutoff.spares_request:
        state.ended_all_at[owner] = cutoff.at
    at = cutoff.at if cutoff is not None else context.clock()
    met: set[str] = set()
    ended, limit = list[Ended](), STRIDE
    is_complete = False
    for walk in range(context.policy.attempts):
        known, pages = len(met), Pages(limit, find, owner)
        while (page := (yield from pages.next())) is not None:
            yield from _follow_kept(context, kept)
            new = {key: record for key, record in page.items if key not in met and key not in kept}
            if walk:
                new = {key: record for key, record in new.items() if not _began_after(context, key, record, at)}
            ended += yield from _end_each(context, owner, new)
            met.update(new)
        is_complete = len(met) == known and (pages.number == 1 or limit > _LARGEST_PAGE)
        if is_complete:
            break
        limit *= 10 if len(met) == known else 1
    certain = cutoff is not None and is_complete and all(session.certain for session in ended)
    return RevokedCount(len(ended), "confirmed" if certain else "unconfirmed")


def _began_after(context: Context, key: str, record: Record, moment: int) -> bool:
    """Return whether *record* is a session that began after *moment*: a login that a cut-off then does not concern.

    One that got its token later began before the first walk, whatever the clock of its host says.
    """
    session = decode_session(context, key, record)
    return session is not None and session.created_at > moment and session.issued_at == session.created_at


def try_cutoff(context: Context, owner: str, kept: list[str], began: Began | None) -> Flow[Written | None]:
    """Write the cut-off if the store can. Clear *kept* if an earlier one covers that session."""
    try:
        written = yield from write_cutoff(context, owner, kept, began=began)
    except (StoreUnavailable, RecordTooLarge) as error:
        context.events.emit("store_unavailable", error=error)
        return None
    if not written.spares_request:
        kept.clear()
    return written


def _end_each(context: Context, owner: str, found: dict[str, Record]) -> Flow[list[Ended]]:
    """End those of the records *found*, by their keys, that are sessions of *owner*, and return their ends."""
    theirs = {key: record for key, record in found.items() if record.owner == owner}
    ended, changed = yield from discard_all(context, theirs, "revoked")
    for key, record in changed.items():
        end = yield from end_session(context, key, record.version, owner, "revoked")
        ended += [] if end is None else [end]
    return ended


def _follow_kept(context: Context, kept: list[str]) -> Flow[None]:
    """Add to *kept*, the keys that a session has had, those that it got since. A page may be older than the last."""
    passed: list[str] = []
    if kept and (yield from follow(context, kept[-1], (yield from load(kept[-1], fresh=True)), passed)) is not None:
        kept += passed[1:]


def write_cutoff(context: Context, owner: str, kept: Sequence[str], *, began: Began | None = None) -> Flow[Written]:
    """End every session of *owner* that began before now, but for that with the keys *kept*, the last one its present.

    *began* returns when the request that asks for it began, or its session was last known to be live: if an earlier
    cut-off covers that, *kept* does not count.
    """
    key = context.keys.cutoff_key(owner)
    written, data, has_failed = None, b"", False
    while True:
        record = yield from at_most_twice(lambda: load(key, fresh=True))
        if written is not None and record is not None and record.data == data:  # an answer was lost
            return written
        try:
            offset = yield from offset_of(context)
        except StoreUnavailable:  # the last one may be right, and an end must not wait
            offset = context.offset.value
        now = context.clock()
        before = read_cutoff(context, key, record, offset)
        spares = before is None or began is None or before.at < began(owner, offset) or before.keep in kept
        # Where hosts share no clock, another one may be ahead. A later cut-off has a later time.
        written = Written(max(now + offset, before.at + 1) if before else now + offset, spares)
        cutoff = Cutoff(written.at, kept[-1] if kept and spares else None)
        data = context.sealer.seal_control(cutoff, key)
        try:
            if (yield from _put(key, record, data, now + stored_for(context))):
                return written
        except StoreUnavailable:
            if has_failed:
                raise
            has_failed = True


def _put(key: str, record: Record | None, data: bytes, expires_at: int) -> Flow[bool]:
    """Store *data* under *key* if *record* is still what is there, and return whether it was."""
    if record is None:
        return (yield from create(key, data, expires_at)) is not None
    return not isinstance((yield from replace(key, data, record.version, expires_at)), Conflict | Gone)
