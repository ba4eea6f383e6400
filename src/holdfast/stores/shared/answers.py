"""Answers that several stores give alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from holdfast.stores.contract import Conflict, Gone, Page, Record, Report, Version

#: A key under which no store has a record: no token has this hash.
NO_KEY = b"no record".hex().rjust(64, "f")


def refusal(record: Record | None, expect: Version) -> Conflict | Gone | None:
    """Return why a write that expects the version *expect* is refused over the live *record*; None if it is not."""
    if record is None:
        return Gone()
    return None if record.version == expect else Conflict(record)


def report_owned(removed: Iterable[tuple[str, str | None]], report: Report | None) -> None:
    """Call *report* with the key and the owner of each record that a purge removed, if it had an owner."""
    if report is not None:
        for key, owner in removed:
            if isinstance(owner, str):
                report(key, owner)


def batches(versions: Mapping[str, Version], size: int) -> Iterator[dict[str, Version]]:
    """Yield *versions* in parts of at most *size*."""
    rest = iter(versions.items())
    while some := dict(itertools.islice(rest, size)):
        yield some


def page_by_key(found: Iterable[tuple[str, Record]], limit: int) -> Page:
    """Return the page with the first *limit* of the records *found*, which are in the order of their keys."""
    items = tuple(itertools.islice(found, limit))
    return Page(items, after=items[-1][0] if len(items) == limit else None)
