"""A corner of a Redis server for each test, and what the server counted there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from holdfast.records.record import Record
from holdfast.stores.contract import Iterates


def prefix_of(place: Path) -> str:
    """Return the prefix of the test that has the folder *place*, which no other test has."""
    return f"test-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}:"


def prefix_in(url: str) -> str:
    """Return the prefix that the *url* of a store has as an option."""
    return dict(parse_qsl(urlsplit(url).query)).get("prefix", "")


@contextmanager
def counted(client: Any) -> Iterator[dict[str, int]]:
    """Count the commands that the server carries out inside the block, with those inside of scripts, by name."""
    before, counts = _calls(client), dict[str, int]()
    yield counts
    for name, calls in _calls(client).items():
        if calls != before.get(name, 0):
            counts[name] = calls - before.get(name, 0)
    counts.pop("info")
    counts.pop("replconf", None)  # a replica's message to its primary, once a second


def _calls(client: Any) -> dict[str, int]:
    stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}


def scanned(store: Iterates, *, limit: int = 100) -> dict[str, Record]:
    """Return every record that a scan from end to end yields."""
    page = store.scan(limit=limit)
    records = dict(page.items)
    while page.after is not None:
        page = store.scan(page.after, limit=limit)
        records.update(page.items)
    return records


class Wrapped:
    """A client that adds something of its own to another, as tracing libraries do."""

    def __init__(self, client: Any) -> None:
        self._wrapped = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)
