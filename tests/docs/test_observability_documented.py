"""The page about observers names all events and operations, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.events import EVENTS
from holdfast.metrics.observer import OPERATIONS, OUTCOMES

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/observability.md").read_text("utf-8")


def section(title: str) -> str:
    """Return the text under a heading of the page."""
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def words(text: str) -> list[str]:
    """Return what *text* has between backquotes."""
    return re.findall(r"`(\w+)`", text)


def test_every_event_has_its_row() -> None:
    """The table has each event with its label and every value that it takes, in their order."""
    rows = [line.split("|")[1:3] for line in section("Events").splitlines() if line.startswith("| `")]
    shown = {words(event)[0]: words(label) for event, label in rows}
    labels = {name: [event.label, *event.values] if event.label else [] for name, event in EVENTS.items()}
    assert shown == labels


def test_every_operation_and_outcome_is_named() -> None:
    """The timed operations and their outcomes are on the page."""
    assert set(words(section("Times"))) == {*OPERATIONS, *OUTCOMES}
