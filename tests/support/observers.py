"""Observers: one that counts for a test, and one that is of no use."""

from __future__ import annotations

import threading
from collections import Counter


class Ledger:
    """An observer that counts, and gives out what it has counted since the last time."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.heard: set[tuple[str, str]] = set()
        self.seconds: list[float] = []
        self._lock = threading.Lock()

    def count(self, event: str, label: str, /) -> None:
        with self._lock:
            self.counts[f"{event}.{label}" if label else event] += 1
            self.heard.add((event, label))

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        with self._lock:
            self.calls[operation if outcome == "ok" else f"{operation}.{outcome}"] += 1
            self.seconds.append(seconds)

    def take(self) -> dict[str, int]:
        """Return the counts since the last time."""
        self.calls.clear()
        counts, self.counts = self.counts, Counter()
        return dict(counts)


class Broken:
    """An observer that always raises."""

    def count(self, event: str, label: str, /) -> None:
        raise RuntimeError("no room")

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        raise RuntimeError("no room")
