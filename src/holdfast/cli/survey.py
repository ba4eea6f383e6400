"""A walk through everything that a store holds, without opening any payload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.envelope import Cutoff, Tombstone, decode
from holdfast.errors import ConfigurationError, DecodeError
from holdfast.flows.listing import info_of
from holdfast.manager import Manager
from holdfast.policy import DAY, HOUR
from holdfast.record import Page, Record
from holdfast.store import Iterates, Store

_PAGE = 500

#: A span, in milliseconds, that no session reaches: for limits that are not known.
NEVER = 2**50

#: The ages that are told apart, each with its end in milliseconds.
AGES: tuple[tuple[str, float], ...] = (
    ("under 1 hour", HOUR),
    ("under 1 day", DAY),
    ("under 7 days", 7 * DAY),
    ("under 30 days", 30 * DAY),
    ("30 days and more", float("inf")),
)


@dataclass(slots=True)
class Survey:
    """How many sessions there are, and of which kinds.

    Attributes:
        sessions: The live ones.
        bound: Those of users.
        bytes: What all records hold together. The store's own overhead is not in it.
        largest: What the largest record holds, in bytes.
        ages: Sessions by the time since they, or their logins, began.
        idle: Sessions by the time since they were last used.
        devices: Sessions by device, where it is known.
        others: Records that are no live sessions: tombstones, cut-offs, sessions that are over, and what cannot be
            read.
    """

    sessions: int = 0
    bound: int = 0
    bytes: int = 0
    largest: int = 0
    ages: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys((name for name, _ in AGES), 0)))
    idle: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys((name for name, _ in AGES), 0)))
    devices: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    def add(self, manager: Manager, key: str, record: Record) -> None:
        """Count one record."""
        self.bytes += len(record.data)
        self.largest = max(self.largest, len(record.data))
        found = info_of(manager.context, key, record)
        if found is None:
            self.others[_kind_of(record)] += 1
            return
        now = manager.clock()
        self.sessions += 1
        self.bound += found.owner is not None
        self.ages[_age(now - found.created_at)] += 1
        self.idle[_age(now - found.last_used_at)] += 1
        if found.device is not None:
            self.devices[str(found.device)] += 1


def walk(store: Store) -> Iterator[Page]:
    """Yield page after page of all live records in *store*.

    Raises:
        ConfigurationError: The store cannot list what it holds.
    """
    if not isinstance(store, Iterates):
        raise ConfigurationError(f"{type(store).__name__} cannot list what it holds: use a store that can")
    after = None
    while True:
        page = store.scan(after, limit=_PAGE)
        yield page
        after = page.after
        if after is None:
            return


def _kind_of(record: Record) -> str:
    try:
        body = decode(record.data)
    except DecodeError:
        return "unreadable"
    if isinstance(body, Tombstone):
        return "tombstones"
    return "cut-offs" if isinstance(body, Cutoff) else "sessions that are over"


def _age(milliseconds: int) -> str:
    return next(name for name, end in AGES if milliseconds < end)
