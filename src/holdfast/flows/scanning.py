"""Walk over all sessions of an application, on a store that `Iterates`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast import events
from holdfast.flows.context import Context
from holdfast.flows.ending import follow, kill
from holdfast.flows.listing import SessionInfo, info_of, look
from holdfast.operations import Flow, Load, Scan
from holdfast.record import Page, Record

#: How many records each step of a walk asks for.
_STRIDE = 500


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One step of a walk over all sessions.

    Attributes:
        items: Some sessions, in no order that means anything. There may be none.
        after: Where to go on; None: that was the last page.
    """

    items: tuple[SessionInfo, ...]
    after: str | None


def page_of(context: Context, after: str | None, limit: int, *, current: str | None = None) -> Flow[SessionPage]:
    """Return about *limit* live sessions from *after* on (None: the start), in one store call."""
    page: Page = yield Scan(after, limit)
    found = (info_of(context, key, record, current=current) for key, record in page.items)
    return SessionPage(tuple(info for info in found if info is not None), page.after)


def count(context: Context) -> Flow[int]:
    """Return how many live sessions there are: every record is read."""
    page = yield from page_of(context, None, _STRIDE)
    number = len(page.items)
    while page.after is not None:
        page = yield from page_of(context, page.after, _STRIDE)
        number += len(page.items)
    return number


def revoke_everyone(
    context: Context, *, progress: Callable[[int], object] | None = None, stride: int = _STRIDE
) -> Flow[int]:
    """End every session that was stored when this began, wherever it moves meanwhile, and return how many were ended.

    *progress* is called after each page of the walk, with how many were ended so far. The first walk ends whatever it
    meets. A session that is rotated may slip past it, so another follows, until one finds nothing that began before.
    """
    began, ended, until = context.clock(), 0, None
    while True:
        before = ended
        after: str | None = None
        while True:
            page: Page = yield Scan(after, stride)
            for key, record in page.items:
                ended += yield from _end(context, key, record, until)
            if progress is not None:
                progress(ended)
            after = page.after
            if after is None:
                break
        if ended == before:
            return ended
        until = began


def _end(context: Context, key: str, record: Record | None, until: int | None) -> Flow[int]:
    """End the session that is, or that a tombstone leads to, if it began by *until*; return how many: 0 or 1."""
    for _ in range(context.policy.attempts):
        found = yield from follow(key, record)
        envelope = look(context, *found) if found is not None else None
        if found is None or envelope is None or (until is not None and envelope.created_at > until):
            return 0
        key, record = found
        handle = yield from kill(context, key, record.version, record.owner)
        if handle is not None:
            context.emit(events.ended, handle=handle, owner=record.owner, reason="revoked")
            return 1
        record = yield Load(key)  # it is over, or somebody signed in or out just now
    return 0
