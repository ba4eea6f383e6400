"""The sessions that the operator's page shows, and the possible actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.contrib.operator_page.charts import Chart, charts_of
from holdfast.flask.extension import Session
from holdfast.sessions.ends import Ends
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.flows.stats import SessionStats, age_of
from holdfast.sessions.manager import Manager
from holdfast.sessions.requests import Requests
from holdfast.stores.contract import Indexes, Iterates

#: The longest position that a store returns is shorter.
_LONGEST_PLACE = 500


@dataclass(frozen=True)
class Abilities:
    """The possible actions on the sessions.

    Attributes:
        kind: The name of the store.
        walks: Whether all of them can be listed, counted and ended.
        finds: Whether a user's sessions can be listed.
        ends: Whether one session can be ended.
        cookies: Whether they are in the browsers' cookies.
    """

    kind: str
    walks: bool
    finds: bool
    ends: bool
    cookies: bool


@dataclass(frozen=True)
class Listing:
    """The variables of ``holdfast/operator/sessions.html``.

    Attributes:
        entries: The sessions to show.
        met: The number of sessions on the page, shown or not.
        after: The position of the next page, None at the end.
        charts: Charts of the sessions on the page.
    """

    entries: list[SessionInfo] = field(default_factory=list)
    met: int = 0
    after: str | None = None
    charts: list[Chart] = field(default_factory=list)


def abilities(manager: Requests) -> Abilities:
    """Return the possible actions on the sessions of *manager*."""
    lists, store = isinstance(manager, Manager), manager.store if isinstance(manager, Ends) else None
    return Abilities(
        kind=type(store).__name__,
        walks=lists and Iterates in manager.context.capabilities,
        finds=lists and Indexes in manager.context.capabilities,
        ends=store is not None,
        cookies=not lists,
    )


def listing(sessions: Session, query: Mapping[str, str], limit: int) -> Listing:
    """Return the page of about *limit* sessions for *query*, in one store call.

    Its ``after`` is the end of an earlier page, ``device`` is a part of the device or the label, and ``age`` is one of
    `holdfast.sessions.flows.stats.AGES`.

    Raises:
        ValueError: The store does not return such a position.
    """
    after = query.get("after") or None
    if after is not None and (len(after) > _LONGEST_PLACE or not after.isprintable()):
        raise ValueError("no store returns such a position")
    page = sessions.scan(after, limit=limit)
    now, words, age = sessions.manager.clock(), query.get("device", "").strip().casefold(), query.get("age", "")
    stats = SessionStats(owners=Counter())
    for entry in page.items:
        stats.add_session(entry, now)
    entries = [
        entry
        for entry in page.items
        if words in f"{entry.device or ''} {entry.label or ''}".casefold()
        and age in {"", age_of(now - entry.created_at)}
    ]
    return Listing(entries, len(page.items), page.after, charts_of(stats) if page.items else [])
