"""Scan all sessions of an application, on a store that `Iterates`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from holdfast.errors import UnknownKey
from holdfast.records.record import Record
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import discard_all, end_session, follow
from holdfast.sessions.flows.finish import EVERYONE
from holdfast.sessions.flows.listing import STRIDE, SessionInfo, info_of, open_own
from holdfast.sessions.flows.revoke import try_cutoff
from holdfast.sessions.ops import Flow, Pages, load, scan


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of a scan of all sessions, in arbitrary order. It may be empty; *after* is None on the last."""

    items: tuple[SessionInfo, ...]
    after: str | None


def page_of(context: Context, after: str | None, limit: int, *, current: str | None = None) -> Flow[SessionPage]:
    """Return about *limit* live sessions after *after* (None: the start), in one store call."""
    page = yield from scan(after, limit)
    found = (info_of(context, key, record, current=current) for key, record in page.items)
    return SessionPage(tuple(info for info in found if info is not None), page.after)


def count(context: Context) -> Flow[int]:
    """Return the number of live sessions: every record is read."""
    pages, number = Pages(STRIDE, scan), 0
    while (page := (yield from pages.next())) is not None:
        number += sum(info_of(context, key, record) is not None for key, record in page.items)
    return number


@dataclass(frozen=True, slots=True)
class RevokeProgress:
    """Progress of a `revoke_everyone` that runs in steps.

    Attributes:
        began: Its start, in milliseconds since the epoch.
        ended: The number of sessions ended so far.
        over: Whether it is complete.
        after: The position of the current scan.
        first: Whether that is the first scan, which ends every session it finds.
        found: The number of sessions that the current scan has ended.
        unopened: The number of sealed sessions that no key opens: they may be another application's, and are left.
    """

    began: int
    ended: int = 0
    over: bool = False
    after: str | None = None
    first: bool = True
    found: int = 0
    unopened: int = 0


def revoke_everyone(
    context: Context, *, progress: Callable[[int], object] | None = None, stride: int = STRIDE
) -> Flow[int]:
    """End every session that was stored at the start, under any key it moves to, and return how many were ended.

    *progress* is called after each page of the scan, with the number ended so far.
    """
    state = RevokeProgress(context.clock())
    while not state.over:
        state = yield from revoke_some(context, state, stride=stride)
        if progress is not None:
            progress(state.ended)
    return state.ended


def revoke_some(
    context: Context, progress: RevokeProgress, *, keep: str | None = None, stride: int = STRIDE
) -> Flow[RevokeProgress]:
    """End the sessions on the next page, except the one with the handle *keep*, and return the new *progress*.

    The first scan ends every session it finds. A session that is rotated may escape it, so another follows, until one
    finds no session that began before.
    """
    if progress.first and progress.after is None:  # logins by a remember-me cookie look for it
        yield from try_cutoff(context, EVERYONE, [], None)
    page = yield from scan(progress.after, stride)
    kept = list[str]()
    if keep is not None:  # another request may have renewed it since, or does so now
        yield from follow(context, keep, (yield from load(keep, fresh=True)), kept)
    found, unopened, until = dict[str, Record](), 0, None if progress.first else progress.began
    for key, record in page.items:
        try:
            found |= yield from _to_end(context, key, record, until, kept)
        except UnknownKey:
            unopened += progress.first
    ended, changed = yield from discard_all(context, found, "revoked")
    number = len(ended)
    for key, record in changed.items():
        with suppress(UnknownKey):  # what it moved to is on a page as well
            number += yield from _end(context, key, record, until, kept)
    progress = replace(
        progress,
        ended=progress.ended + number,
        after=page.after,
        found=progress.found + number,
        unopened=progress.unopened + unopened,
    )
    return progress if page.after is not None else replace(progress, over=progress.found == 0, first=False, found=0)


def _to_end(
    context: Context, key: str, record: Record | None, until: int | None, kept: Sequence[str]
) -> Flow[dict[str, Record]]:
    """Return the session, or a tombstone's successor, under its key, if it began by *until* and that is not *kept*."""
    envelope = open_own(context, key, record) if record is not None else None
    if envelope is None:
        found = yield from follow(context, key, record)
        if found is None or found[0] == key:
            return {}
        key, record = found
        envelope = open_own(context, key, record)
    if record is None or envelope is None or key in kept or (until is not None and envelope.created_at > until):
        return {}
    return {key: record}


def _end(context: Context, key: str, record: Record, until: int | None, kept: Sequence[str]) -> Flow[int]:
    """End the session under *key* as it is after any changes meanwhile, if `_to_end` still returns it: 0 or 1."""
    for _ in range(context.policy.attempts):
        if (yield from end_session(context, key, record.version, record.owner, "revoked")) is not None:
            return 1
        # It is over, or its user just signed in or out.
        found = yield from _to_end(context, key, (yield from load(key, fresh=True)), until, kept)
        if not found:
            return 0
        ((key, record),) = found.items()
    return 0
