"""What an operator may count and time: one small hook, and the frozen words for it.

An `Observer` is told of events (`EVENTS`) and of how long each store operation (`OPERATIONS`) took. Labels come from
closed sets, so what is kept of them stays small and names nobody: no user, no handle, no token, no key.
`holdfast.metrics` has observers that are ready to use.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

from holdfast.errors import ConfigurationError, RecordTooLarge, StoreError
from holdfast.events import EndReason, RejectReason, SaveResult

TimedOutcome: TypeAlias = Literal["ok", "unavailable", "too_large"]


class Event(NamedTuple):
    """What is counted under one name, and apart by *label*, where there is one.

    Attributes:
        meaning: What it says, as a phrase.
        label: The name of the label, or nothing.
        values: What the label can be; the empty text where there is none.
    """

    meaning: str
    label: str = ""
    values: tuple[str, ...] = ("",)


#: Every event by its name. Each signal of `holdfast.events` is one, under its own name; the first five are no signals.
EVENTS: Mapping[str, Event] = {
    "opens": Event("Requests that used their session"),
    "loads": Event("Live sessions found in the store"),
    "saves": Event("Sessions at the end of a request that used them", "outcome", get_args(SaveResult)),
    "conflicts": Event("Writes that found that another request had been first"),
    "merges": Event("Changes of another request that were merged in"),
    "created": Event("Sessions made"),
    "rotated": Event("Sessions given a new token"),
    "bound": Event("Sessions bound to a user"),
    "ended": Event("Sessions ended", "reason", get_args(EndReason)),
    "gone": Event("Changes dropped because the session had ended meanwhile"),
    "rejected": Event("Cookies not accepted", "reason", get_args(RejectReason)),
    "superseded": Event("Requests under an id that a rotation had replaced"),
    "store_unavailable": Event("Requests and calls that the store failed"),
}

#: The names of the timed store operations: those of the store's methods.
OPERATIONS = ("load", "create", "replace", "touch", "delete", "move", "keys_of", "scan", "confirm", "purge")

#: How a timed operation ended.
OUTCOMES: tuple[str, ...] = get_args(TimedOutcome)

#: The upper bounds of the latency buckets, in seconds: from a lookup in memory to the longest timeout of a client.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_logger = logging.getLogger("holdfast")


@runtime_checkable
class Observer(Protocol):
    """Is told what happens to sessions while a request waits: both methods must be quick, and safe among threads."""

    def count(self, event: str, label: str, /) -> None:
        """Count one *event*, a key of `EVENTS`, with one of the values of its label; the empty text if it has none."""

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        """Take note that a store operation, one of `OPERATIONS`, took *seconds*, and of its outcome in `OUTCOMES`."""


class Observers:
    """Tells several observers. One that raises is logged, and changes nothing else.

    Args:
        members: The observers.
        timer: Returns seconds from any beginning, never less than before.

    Attributes:
        members, timer: As given.
    """

    def __init__(self, members: Iterable[Observer], *, timer: Callable[[], float] = time.perf_counter) -> None:
        self.members = tuple(members)
        self.timer = timer
        for member in self.members:
            if isinstance(member, type) or not isinstance(member, Observer):
                raise ConfigurationError(
                    f"observer is {member!r}: it must be an object with the methods of"
                    " holdfast.metrics.observer.Observer, such as holdfast.metrics.memory.Tally()"
                )

    def count(self, event: str, label: str = "", /) -> None:
        """Tell every observer of one *event*."""
        for member in self.members:
            try:
                member.count(event, label)
            except Exception:  # the one boundary to observers, whose failure must not undo a logout
                _logger.exception("an observer failed to count %r", event)

    def timed(self, operation: str, seconds: float, outcome: TimedOutcome, /) -> None:
        """Tell every observer of one store operation."""
        for member in self.members:
            try:
                member.timed(operation, seconds, outcome)
            except Exception:  # see `count`
                _logger.exception("an observer failed to take the time of %r", operation)

    def heard(self, signal: str, details: Mapping[str, Any]) -> None:
        """Count a signal by its name. Of *details* only the label that the event has is passed on."""
        event = EVENTS.get(signal)
        if event is not None:
            self.count(signal, details[event.label] if event.label else "")

    def called(self, operation: str, seconds: float, error: StoreError | None, /) -> None:
        """Report one store call, which raised *error* or nothing."""
        outcome: TimedOutcome = "ok"
        if error is not None:
            outcome = "too_large" if isinstance(error, RecordTooLarge) else "unavailable"
        self.timed(operation, seconds, outcome)


def gather(observer: Observer | Observers | Iterable[Observer] | None) -> Observers | None:
    """Return one or several observers as one, or None when there is none, which costs nothing from then on.

    Raises:
        ConfigurationError: Something among them is no observer.
    """
    if observer is None or isinstance(observer, Observers):
        return observer
    members = (observer,) if isinstance(observer, Observer) or not isinstance(observer, Iterable) else tuple(observer)
    return Observers(members) if members else None
