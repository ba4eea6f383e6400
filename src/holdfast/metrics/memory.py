"""An observer that counts in the process's memory: totals, the last hour by the minute, and latencies."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

from holdfast.clock import Clock, system_clock
from holdfast.events import EVENTS
from holdfast.metrics.observer import BOUNDS, OPERATIONS

__all__ = ["InMemoryMetrics", "Snapshot"]

_MINUTE = 60_000
_NANOSECONDS = 1_000_000_000


class Timing(TypedDict):
    """The calls of one store operation since the start. Times are in seconds.

    *buckets* has one more entry than the snapshot's *bounds*: the calls that took longer than the last. The quantiles
    are estimates within their bucket, and None if there was no call.
    """

    calls: int
    errors: int
    seconds: float
    p50: float | None
    p95: float | None
    p99: float | None
    buckets: list[int]


class TimingHistory(TypedDict):
    """The calls of one store operation, minute by minute."""

    calls: list[int]
    errors: list[int]
    seconds: list[float]
    p95: list[float | None]


class History(TypedDict):
    """The last minutes, the oldest first; the last is the present one. *first* is when the first began."""

    first: int
    counts: dict[str, list[int]]
    store: dict[str, TimingHistory]


class Snapshot(TypedDict):
    """The numbers at one moment. See `InMemoryMetrics`."""

    since: int
    until: int
    counts: dict[str, int]
    store: dict[str, Timing]
    bounds: list[float]
    minutes: History


#: The position of each count in a row of numbers: by event and label, and by its name in a snapshot.
_COUNTED = [(name, label) for name, event in EVENTS.items() for label in event.values]
_CELLS = {counted: cell for cell, counted in enumerate(_COUNTED)}
_NAMES = {f"{name}.{label}" if label else name: cell for (name, label), cell in _CELLS.items()}

#: After them each operation has its errors, its nanoseconds and its buckets, from this position on.
_BUCKETS = len(BOUNDS) + 1
_STARTS = {name: len(_CELLS) + number * (_BUCKETS + 2) for number, name in enumerate(OPERATIONS)}
_WIDTH = len(_CELLS) + len(OPERATIONS) * (_BUCKETS + 2)


class InMemoryMetrics:
    """Counts in memory of a fixed size. Each process has its own numbers, from its start.

    Args:
        minutes: The length of the history, the present minute included. Default: 60.
        clock: The time.

    `snapshot` returns, ready for `json.dumps`, with times of day in milliseconds since the epoch::

        {
            "since": 1800000000000,                   when counting began
            "until": 1800000123456,                   now
            "counts": {                               every count there is, also those that are 0
                "opens": 1042,                        an event without a label
                "saves.merged": 3,                    an event, a dot, the value of its label
                ...
            },
            "store": {                                every operation there is, also those never called
                "load": {
                    "calls": 980, "errors": 0,        an error is any outcome but "ok"; errors are calls too
                    "seconds": 0.41,                  all calls together
                    "p50": 0.0003, "p95": 0.0009, "p99": 0.002,
                    "buckets": [0, 12, ...],          calls that took up to each bound
                },
                ...
            },
            "bounds": [0.0001, ..., 5.0],             in seconds
            "minutes": {                              lists of *minutes* numbers, the oldest first
                "first": 1799996400000,               when the first minute began; the last one is under way
                "counts": {"opens": [0, 7, ...], ...},
                "store": {"load": {"calls": [...], "errors": [...], "seconds": [...], "p95": [..., None]}, ...},
            },
        }

    Names are never removed, and more may be added. Minutes before *since* are 0.
    """

    def __init__(self, *, minutes: int = 60, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._minute = self._since // _MINUTE
        self._total = [0] * _WIDTH
        self._rows = deque([[0] * _WIDTH for _ in range(minutes)], maxlen=minutes)

    def count(self, event: str, label: str = "", /) -> None:
        """Count one *event*."""
        cell = _CELLS[event, label]
        minute = self._clock() // _MINUTE
        with self._lock:
            if minute > self._minute:
                self._turn(minute)
            self._total[cell] += 1
            self._rows[-1][cell] += 1

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        """Count one call, its time, and whether it failed."""
        start = _STARTS[operation]
        bucket = start + 2 + bisect_left(BOUNDS, seconds)
        nanoseconds = round(seconds * _NANOSECONDS)
        minute = self._clock() // _MINUTE
        with self._lock:
            if minute > self._minute:
                self._turn(minute)
            for row in (self._total, self._rows[-1]):
                row[start] += outcome != "ok"
                row[start + 1] += nanoseconds
                row[bucket] += 1

    def snapshot(self) -> Snapshot:
        """Return all numbers at one moment. The class documents them."""
        with self._lock:
            now = self._clock()
            self._turn(now // _MINUTE)
            first = (self._minute - len(self._rows) + 1) * _MINUTE
            total = self._total.copy()
            rows = [row.copy() for row in self._rows]
        return {
            "since": self._since,
            "until": now,
            "counts": {name: total[cell] for name, cell in _NAMES.items()},
            "store": {name: _timing(total, start) for name, start in _STARTS.items()},
            "bounds": list(BOUNDS),
            "minutes": {
                "first": first,
                "counts": {name: [row[cell] for row in rows] for name, cell in _NAMES.items()},
                "store": {name: _timings(rows, start) for name, start in _STARTS.items()},
            },
        }

    def _turn(self, minute: int) -> None:
        """Begin a new row for each minute that has passed. A clock that was set back continues in the current row."""
        for _ in range(min(minute - self._minute, len(self._rows))):
            self._rows.append([0] * _WIDTH)
        self._minute = max(minute, self._minute)


def quantile(buckets: Sequence[int], q: float) -> float | None:
    """Return an estimate of the time, in seconds, that the share *q* of the calls in *buckets* did not exceed.

    Within a bucket the calls count as evenly distributed. Beyond the last bound the result is that bound. None: no
    call.
    """
    rank = q * sum(buckets)
    if not rank:
        return None
    below = 0
    for (lower, upper), calls in zip(pairwise((0.0, *BOUNDS)), buckets[:-1], strict=True):
        if below + calls >= rank:
            return lower + (upper - lower) * (rank - below) / calls
        below += calls
    return BOUNDS[-1]


def _buckets(row: list[int], start: int) -> list[int]:
    return row[start + 2 : start + 2 + _BUCKETS]


def _timing(row: list[int], start: int) -> Timing:
    buckets = _buckets(row, start)
    return {
        "calls": sum(buckets),
        "errors": row[start],
        "seconds": row[start + 1] / _NANOSECONDS,
        "p50": quantile(buckets, 0.50),
        "p95": quantile(buckets, 0.95),
        "p99": quantile(buckets, 0.99),
        "buckets": buckets,
    }


def _timings(rows: list[list[int]], start: int) -> TimingHistory:
    buckets = [_buckets(row, start) for row in rows]
    return {
        "calls": [sum(minute) for minute in buckets],
        "errors": [row[start] for row in rows],
        "seconds": [row[start + 1] / _NANOSECONDS for row in rows],
        "p95": [quantile(minute, 0.95) for minute in buckets],
    }
