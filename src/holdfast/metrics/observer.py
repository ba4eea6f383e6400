"""The observer: a small interface for counting events and timing store operations.

An `Observer` gets the events of `holdfast.events.EVENTS`, each with its label, and the time of each store operation
(`OPERATIONS`). Labels come from closed sets, so an observer's memory stays small and contains no user, handle, token or
key. `holdfast.metrics` has observers that are ready to use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

from holdfast.errors import ConfigurationError, RecordTooLarge, StoreError
from holdfast.events import EVENTS, notify
from holdfast.stores.contract import ABOUT_PLACE, CAPABILITIES, METHODS, LoadsFresh

__all__ = ["BOUNDS", "OPERATIONS", "OUTCOMES", "Observer"]

TimedOutcome: TypeAlias = Literal["ok", "unavailable", "too_large"]

#: The names of the timed store operations: those of the store's methods that are about records. A load without caches
#: is timed as a load.
OPERATIONS = METHODS + tuple(CAPABILITIES[each] for each in CAPABILITIES if each not in ABOUT_PLACE | {LoadsFresh})

#: How a timed operation ended.
OUTCOMES: tuple[str, ...] = get_args(TimedOutcome)

#: The upper bounds of the latency buckets, in seconds: from a lookup in memory to the longest timeout of a client.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@runtime_checkable
class Observer(Protocol):
    """Counts and times. The request waits for both methods: they must be fast and thread-safe."""

    def count(self, event: str, label: str, /) -> None:
        """Count one *event*, a key of `EVENTS`, with a value of its label, or the empty text if it has none."""

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        """Record that a store operation, one of `OPERATIONS`, took *seconds*; *outcome* is one of `OUTCOMES`."""


class Observers:
    """Several observers as one subscriber. An error of one is logged, and has no other effect.

    *timer* returns monotonic seconds, from any start.
    """

    def __init__(self, members: Iterable[Observer], *, timer: Callable[[], float] = time.perf_counter) -> None:
        self.members: tuple[Observer, ...] = tuple(members)
        self.timer = timer
        for member in self.members:
            if isinstance(member, type) or not isinstance(member, Observer):
                raise ConfigurationError(
                    f"observer is {member!r}: it must be an object with the methods of"
                    " holdfast.metrics.observer.Observer, such as holdfast.metrics.memory.InMemoryMetrics()"
                )

    def count(self, event: str, details: Mapping[str, Any], /) -> None:
        """Count *event*. Of *details* the observers get only its label."""
        label = EVENTS[event].label
        for member in self.members:
            notify(member.count, event, event, details[label] if label else "")

    def timed(self, operation: str, seconds: float, error: StoreError | None, /) -> None:
        """Record the time of one store call, and the *error* that it raised."""
        outcome: TimedOutcome = "ok"
        if error is not None:
            outcome = "too_large" if isinstance(error, RecordTooLarge) else "unavailable"
        for member in self.members:
            notify(member.timed, operation, operation, seconds, outcome)


def gather(observer: Observer | Observers | Iterable[Observer] | None) -> Observers | None:
    """Return one or several observers as one, or None if there is none: then nothing is counted or timed."""
    if observer is None or isinstance(observer, Observers):
        return observer
    members = (observer,) if isinstance(observer, Observer) or not isinstance(observer, Iterable) else tuple(observer)
    return Observers(members) if members else None
