"""An observer that counts in the process's memory: events, and the times of store calls."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import pairwise
from typing import TypedDict

from holdfast.clock import Clock, system_clock
from holdfast.events import EVENTS
from holdfast.metrics.observer import BOUNDS, OPERATIONS

__all__ = ["InMemoryMetrics", "Snapshot"]


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


class Snapshot(TypedDict):
    """The numbers at one moment. See `InMemoryMetrics`."""

    since: int
    until: int
    counts: dict[str, int]
    store: dict[str, Timing]
    bounds: list[float]


class InMemoryMetrics:
    """Counts in memory of a fixed size. Each process has its own numbers, from its start.

    Args:
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
        }

    Names are never removed, and more may be added.
    """

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._counts = {(name, label): 0 for name, event in EVENTS.items() for label in event.values}
        self._errors = dict.fromkeys(OPERATIONS, 0)
        self._seconds = dict.fromkeys(OPERATIONS, 0.0)
        self._buckets = {name: [0] * (len(BOUNDS) + 1) for name in OPERATIONS}

    def count(self, event: str, label: str = "", /) -> None:
        """Count one *event*."""
        with self._lock:
            self._counts[event, label] += 1

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        """Count one call, its time, and whether it failed."""
        with self._lock:
            self._errors[operation] += outcome != "ok"
            self._seconds[operation] += seconds
            self._buckets[operation][bisect_left(BOUNDS, seconds)] += 1

    def snapshot(self) -> Snapshot:
        """Return all numbers at one moment. The class documents them."""
        with self._lock:
            until, counts = self._clock(), self._counts.copy()
            store = {name: self._timing(name) for name in OPERATIONS}
        return {
            "since": self._since,
            "until": until,
            "counts": {f"{name}.{label}" if label else name: number for (name, label), number in counts.items()},
            "store": store,
            "bounds": list(BOUNDS),
        }

    def _timing(self, operation: str) -> Timing:
        buckets = self._buckets[operation].copy()
        return {
            "calls": sum(buckets),
            "errors": self._errors[operation],
            "seconds": self._seconds[operation],
            "p50": quantile(buckets, 0.50),
            "p95": quantile(buckets, 0.95),
            "p99": quantile(buckets, 0.99),
            "buckets": buckets,
        }


def quantile(buckets: list[int], q: float) -> float | None:
    """Return an estimate of the time, in seconds, that the share *q* of the calls in *buckets* did not exceed.

    Within a bucket the calls count as evenly distributed. Beyond the last bound the result is that; without a call,
    None.
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
