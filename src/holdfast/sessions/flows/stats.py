"""Statistics of a store's records, without opening any payload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.clock import DAY, HOUR
from holdfast.errors import DecodeError
from holdfast.records.envelope import Cutoff, Tombstone
from holdfast.records.record import Record
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import STRIDE, SessionInfo, info_of
from holdfast.sessions.ops import Flow, Pages, scan

#: The age groups, each with its end in milliseconds.
AGES: tuple[tuple[str, float], ...] = (
    ("under 1 hour", HOUR),
    ("under 1 day", DAY),
    ("under 7 days", 7 * DAY),
    ("under 30 days", 30 * DAY),
    ("30 days and more", float("inf")),
)


@dataclass(slots=True)
class SessionStats:
    """The number of sessions, by several properties.

    Attributes:
        sessions: The live ones.
        bound: Those bound to users.
        bytes: The total size of all records, without the store's own overhead.
        largest: The size of the largest record, in bytes.
        ages: Sessions by the time since their, or their logins', start.
        idle: Sessions by the time since their last use.
        devices: Sessions by device, if known.
        owners: Sessions by owner, or None if they are not counted separately: there may be as many as sessions.
        others: Records that are no live sessions: tombstones, cut-offs, expired sessions, and unreadable records.
    """

    sessions: int = 0
    bound: int = 0
    bytes: int = 0
    largest: int = 0
    ages: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys((name for name, _ in AGES), 0)))
    idle: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys((name for name, _ in AGES), 0)))
    devices: Counter[str] = field(default_factory=Counter)
    owners: Counter[str] | None = None
    others: Counter[str] = field(default_factory=Counter)

    def add(self, context: Context, key: str, record: Record) -> None:
        """Count one record."""
        self.bytes += len(record.data)
        self.largest = max(self.largest, len(record.data))
        found = info_of(context, key, record)
        if found is None:
            self.others[_kind_of(context, key, record)] += 1
        else:
            self.add_session(found, context.clock())

    def add_session(self, session: SessionInfo, now: int) -> None:
        """Count one live session, at the moment *now*."""
        self.sessions += 1
        self.ages[age_of(now - session.created_at)] += 1
        self.idle[age_of(now - session.last_used_at)] += 1
        if session.owner is not None:
            self.bound += 1
            if self.owners is not None:
                self.owners[session.owner] += 1
        if session.device is not None:
            self.devices[str(session.device)] += 1


def stats(context: Context, *, enough: Callable[[int], bool] | None = None) -> Flow[tuple[SessionStats, bool]]:
    """Count live sessions until all are counted, or *enough*: see `holdfast.sessions.manager.Manager.stats`."""
    found, pages = SessionStats(owners=Counter()), Pages(STRIDE, scan)
    while (page := (yield from pages.next())) is not None:
        for key, record in dict(page.items).items():
            found.add(context, key, record)
        if enough is not None and pages.after is not None and enough(found.sessions):
            break
    return found, pages.after is None


def age_of(milliseconds: int) -> str:
    """Return the name in `AGES` of an age."""
    return next(name for name, end in AGES if milliseconds < end)


def _kind_of(context: Context, key: str, record: Record) -> str:
    try:
        body = context.sealer.read(record.data, key)
    except DecodeError:
        return "unreadable"
    if isinstance(body, Tombstone):
        return "tombstones"
    return "cut-offs" if isinstance(body, Cutoff) else "sessions that are over"
