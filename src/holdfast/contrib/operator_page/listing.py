"""Which sessions the operator's page shows, and what can be done with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.contrib.operator_page.charts import Chart, charts_of
from holdfast.sessions.flows import SessionInfo, Survey
from holdfast.sessions.flows.statistics import age_of
from holdfast.stores.contract import Indexes, Iterates

if TYPE_CHECKING:
    from holdfast.flask.extension import Session
    from holdfast.sessions.manager import Manager

#: The longest place to go on that a store gives is shorter.
_LONGEST_PLACE = 500


@dataclass(frozen=True)
class Abilities:
    """What can be done with the sessions at hand.

    Attributes:
        kind: The name of the store.
        walks: Whether all of them can be shown, counted and ended.
        finds: Whether those of a user can be found.
        ends: Whether one can be ended for everyone.
        cookies: Whether they are in the browsers' cookies.
    """

    kind: str
    walks: bool
    finds: bool
    ends: bool
    cookies: bool


@dataclass(frozen=True)
class Listing:
    """Some sessions, as ``holdfast/operator/sessions.html`` is given them.

    Attributes:
        entries: Those to show.
        met: How many the page has, shown or not.
        after: Where the next page begins, None at the end.
        charts: What kinds of sessions the page has.
    """

    entries: list[SessionInfo] = field(default_factory=list)
    met: int = 0
    after: str | None = None
    charts: list[Chart] = field(default_factory=list)


def abilities(manager: Manager) -> Abilities:
    """Return what can be done with the sessions of *manager*."""
    return Abilities(
        kind=type(manager.store).__name__,
        walks=manager.lists and isinstance(manager.store, Iterates),
        finds=manager.lists and manager.context.store_can(Indexes),
        ends=manager.revokes,
        cookies=not manager.lists,
    )


def listing(sessions: Session, query: Mapping[str, str], limit: int) -> Listing:
    """Return the page of about *limit* sessions that *query* asks for, in one store call.

    Its ``after`` is where an earlier page ended, ``device`` is what the device or the label has, and ``age`` is one of
    `holdfast.sessions.flows.statistics.AGES`.

    Raises:
        ValueError: No store gives such a place to go on.
    """
    after = query.get("after") or None
    if after is not None and (len(after) > _LONGEST_PLACE or not after.isprintable()):
        raise ValueError("no store gives such a place")
    page = sessions.scan(after, limit=limit)
    now, words, age = sessions.manager.clock(), query.get("device", "").strip().casefold(), query.get("age", "")
    survey = Survey(owners=Counter())
    for entry in page.items:
        survey.add_session(entry, now)
    entries = [
        entry
        for entry in page.items
        if words in f"{entry.device or ''} {entry.label or ''}".casefold()
        and age in {"", age_of(now - entry.created_at)}
    ]
    return Listing(entries, len(page.items), page.after, charts_of(survey) if page.items else [])
