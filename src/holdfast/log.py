"""The log of events: a few lines a minute, however many requests meet the same fault."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.clock import MINUTE, Clock
from holdfast.errors import StoreUnavailable
from holdfast.events import RejectReason, Transport

_outages = logging.getLogger("holdfast")
_rejections = logging.getLogger("holdfast.rejected")

#: Reasons that are normal in every application: cookies outlive sessions.
_ORDINARY: frozenset[RejectReason] = frozenset({"unknown_id", "superseded", "expired_idle", "expired_absolute"})

#: What carries the token, as one and as many, by the transport.
_REJECTED: Mapping[Transport, tuple[str, str]] = {
    "cookie": ("a session cookie", "session cookies"),
    "header": ("the token in a header", "tokens in headers"),
}


@dataclass(slots=True)
class _Minute:
    began: int
    lines: int = 0
    left_out: int = 0


class _Limit:
    """Counts lines: at most *lines* a minute of each kind."""

    def __init__(self, clock: Clock, lines: int) -> None:
        self._clock = clock
        self._lines = lines
        self._lock = threading.Lock()
        self._minutes: dict[str, _Minute] = {}

    def count(self, kind: str) -> tuple[int, bool]:
        """Return how many lines of *kind* were omitted in the previous minute, and whether this one is logged."""
        with self._lock:
            now, left_out = self._clock(), 0
            minute = self._minutes.get(kind)
            if minute is None or not minute.began <= now < minute.began + MINUTE:
                left_out = minute.left_out if minute is not None else 0
                minute = self._minutes[kind] = _Minute(now)
            is_logged = minute.lines < self._lines
            minute.lines += is_logged
            minute.left_out += not is_logged
            return left_out, is_logged


class RejectionLog:
    """Subscriber of ``rejected`` that logs as ``holdfast.rejected``, at most ten lines a minute for each reason.

    The next line after that minute reports how many were omitted. A line has the reason and no part of the token.
    Ordinary reasons are logged as INFO, the others as WARNING.
    """

    def __init__(self, clock: Clock) -> None:
        self._limit = _Limit(clock, 10)

    def __call__(self, _event: str, details: Mapping[str, Any]) -> None:
        """Log one rejection, unless its reason has reached the limit."""
        reason: RejectReason = details["reason"]
        level = logging.INFO if reason in _ORDINARY else logging.WARNING
        if not _rejections.isEnabledFor(level):
            return
        one, many = _REJECTED[details["transport"]]
        left_out, is_logged = self._limit.count(f"{one}: {reason}")
        if left_out:
            _rejections.log(level, "%s were rejected: %s, %d more since the last line", many, reason, left_out)
        if is_logged:
            _rejections.log(level, "%s was rejected: %s", one, reason)


class OutageLog:
    """Subscriber of ``store_unavailable`` that logs as ``holdfast``, at most three lines a minute, as ERROR.

    A line has the store's fault and the driver's reason, with the traceback where the logger is enabled for DEBUG. The
    next line after that minute reports how many were omitted.
    """

    def __init__(self, clock: Clock) -> None:
        self._limit = _Limit(clock, 3)

    def __call__(self, _event: str, details: Mapping[str, Any]) -> None:
        """Log one failure, unless the limit is reached."""
        error: StoreUnavailable = details["error"]
        left_out, is_logged = self._limit.count("")
        if left_out:
            _outages.error("the session store was unavailable %d more times since the last line", left_out)
        if is_logged:
            trace = error if _outages.isEnabledFor(logging.DEBUG) else None
            trouble = "cannot be used until it is set up correctly" if error.permanent else "is unavailable"
            _outages.error("the session store %s: %s", trouble, error.explained, exc_info=trace)
