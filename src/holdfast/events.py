"""The events of sessions: their names, and the one stream of them.

An application has one `Events`. Each event is emitted there once, and three kinds of subscribers get it: the signals
below, the observers of `holdfast.metrics`, and the log of `holdfast.log`.

A signal's sender is the application. Receivers get keyword arguments: *handle* (the session's public name), and if it
applies *reason*, *transport*, *owner*, *previous* (the handle before a rotation) or *error*; never a token, never
session data. An exception of a receiver is logged and does not change the session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args
from weakref import ReferenceType

from blinker import NamedSignal, Namespace

__all__ = [
    "EVENTS", "EndReason", "Event", "EventName", "RejectReason", "RevokeResult", "SaveResult", "Transport", "bound",
    "created", "ended", "gone", "rejected", "rotated", "store_unavailable", "superseded",
]  # fmt: skip

#: Where the token of a request is.
Transport: TypeAlias = Literal["cookie", "header"]
#: Why a token was not accepted.
RejectReason: TypeAlias = Literal[
    "malformed",
    "too_long",
    "ambiguous_cookie",
    "bad_signature",
    "unknown_id",
    "superseded",
    "expired_idle",
    "expired_absolute",
    "not_yet_valid",
    "corrupt",
    "unknown_key",
    "binding_changed",
    "store_unavailable",
]
#: Why a session ended.
EndReason: TypeAlias = Literal["logout", "revoked", "expired", "evicted", "replaced"]
#: The outcome of a session at the end of a request.
SaveResult: TypeAlias = Literal["saved", "merged", "unchanged", "gone", "conflict"]
#: Whether the end of a session is certain, may be undone by the loss of a server, or there was no session.
RevokeResult: TypeAlias = Literal["confirmed", "unconfirmed", "absent"]
#: The name of an event; those from ``created`` on are signals.
EventName: TypeAlias = Literal[
    "opens",
    "loads",
    "saves",
    "conflicts",
    "merges",
    "imported",
    "created",
    "rotated",
    "bound",
    "ended",
    "gone",
    "rejected",
    "superseded",
    "store_unavailable",
]


class Event(NamedTuple):
    """One kind of event.

    Attributes:
        meaning: The thing it counts, as a phrase.
        label: The detail by which observers count it separately, or the empty text.
        values: The values of that detail; only the empty text if there is none.
    """

    meaning: str
    label: str = ""
    values: tuple[str, ...] = ("",)


#: Every event by its name. Those from ``created`` on are signals too.
EVENTS: Mapping[str, Event] = {
    "opens": Event("Requests that used their session"),
    "loads": Event("Live sessions found"),
    "saves": Event("Sessions at the end of a request that used them", "outcome", get_args(SaveResult)),
    "conflicts": Event("Attempts to write that failed because another request wrote first"),
    "merges": Event("Changes of another request that were merged in"),
    "imported": Event("Sessions taken over from the place where they were before"),
    "created": Event("Sessions made"),
    "rotated": Event("Sessions given a new token"),
    "bound": Event("Sessions bound to a user"),
    "ended": Event("Sessions ended", "reason", get_args(EndReason)),
    "gone": Event("Changes dropped because the session had ended meanwhile"),
    "rejected": Event("Tokens not accepted", "reason", get_args(RejectReason)),
    "superseded": Event("Requests under an id that a rotation had replaced"),
    "store_unavailable": Event("Requests and calls that failed because the store is unavailable"),
}

_signals = Namespace()

#: A record was made. *handle*, *owner*.
created: NamedSignal = _signals.signal("created")
#: A session got a new token. *handle*, *previous*.
rotated: NamedSignal = _signals.signal("rotated")
#: A session was bound to a user. *handle*, *owner*.
bound: NamedSignal = _signals.signal("bound")
#: A session is over. *handle*, *owner*, *reason*: one of `EndReason`.
ended: NamedSignal = _signals.signal("ended")
#: A change was dropped because the session had ended meanwhile. *handle*.
gone: NamedSignal = _signals.signal("gone")
#: A token was not accepted. *reason*: one of `RejectReason`; *transport*: where it was.
rejected: NamedSignal = _signals.signal("rejected")
#: A request came with, or saved under, an id that a rotation had replaced. *handle* is the old one.
superseded: NamedSignal = _signals.signal("superseded")
#: A call of the store failed. *error*.
store_unavailable: NamedSignal = _signals.signal("store_unavailable")

#: Gets the name of an event and its details.
Subscriber: TypeAlias = Callable[[str, Mapping[str, Any]], object]

_logger = logging.getLogger("holdfast")


class Events:
    """The stream of one application's events. Signals have *sender*, which may be a weak reference to the sender."""

    def __init__(self, sender: object) -> None:
        self._sender = sender
        self._subscribers: dict[str, list[Subscriber]] = {
            event: [self._send] if event in _signals else [] for event in EVENTS
        }

    def subscribe(self, subscriber: Subscriber, *events: EventName) -> None:
        """Call *subscriber* with each of *events*; without any, with every event."""
        for event in events or EVENTS:
            self._subscribers[event].append(subscriber)

    def emit(self, event: EventName, **details: Any) -> None:
        """Call the subscribers of *event*. An exception of one is logged, and the others are still called."""
        for subscriber in self._subscribers[event]:
            notify(subscriber, event, event, details)

    def _send(self, event: str, details: Mapping[str, Any]) -> None:
        signal = _signals[event]
        if signal.receivers:
            sender = self._sender() if isinstance(self._sender, ReferenceType) else self._sender
            for receiver in signal.receivers_for(sender):
                notify(receiver, event, sender, **details)


def notify(receiver: Callable[..., object], what: str, /, *args: Any, **details: Any) -> None:
    """Call *receiver*. Its exception is logged with *what*, and has no other effect."""
    try:
        receiver(*args, **details)
    except Exception:  # the one boundary to receivers and observers, whose failure must not undo a logout
        _logger.exception("a receiver of %r failed", what)
