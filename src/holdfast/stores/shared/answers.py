"""Answers that several stores give alike."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.records.record import Conflict, Gone, Page, Record, Version


def refusal(record: Record | None, expect: Version) -> Conflict | Gone | None:
    """Return why a write that expects the version *expect* is refused over the live *record*; None if it is not."""
    if record is None:
        return Gone()
    return None if record.version == expect else Conflict(record)


def page_by_key(items: Sequence[tuple[str, Record]], limit: int) -> Page:
    """Return the page of at most *limit* records that a walk in the order of the keys found."""
    return Page(tuple(items), after=items[-1][0] if len(items) == limit else None)
