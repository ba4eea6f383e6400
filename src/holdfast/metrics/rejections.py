"""A line in the log for each cookie that is not accepted, and for a flood of them not more than a few."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from holdfast.clock import Clock
from holdfast.events import RejectReason
from holdfast.sessions.policy import MINUTE

#: How many lines a reason gets in a minute.
_LINES = 10

#: What happens to everybody: cookies outlive sessions.
_ORDINARY: frozenset[RejectReason] = frozenset({"unknown_id", "superseded", "expired_idle", "expired_absolute"})

_logger = logging.getLogger("holdfast.rejected")


@dataclass(slots=True)
class _Minute:
    began: int
    lines: int = 0
    left_out: int = 0


class RejectionLog:
    """Logs rejections as ``holdfast.rejected``, at most ten lines a minute for each reason.

    How many were left out is told with the next one after that minute. A line holds the reason and nothing of the
    cookie. Reasons that are ordinary are logged as INFO, the others as WARNING.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[RejectReason, _Minute] = {}

    def note(self, reason: RejectReason) -> None:
        """Log that a cookie was not accepted, unless there were too many of late."""
        level = logging.INFO if reason in _ORDINARY else logging.WARNING
        if not _logger.isEnabledFor(level):
            return
        with self._lock:
            left_out, logged = self._count(reason)
        if left_out:
            _logger.log(level, "session cookies were not accepted: %s, %d more since the last line", reason, left_out)
        if logged:
            _logger.log(level, "a session cookie was not accepted: %s", reason)

    def _count(self, reason: RejectReason) -> tuple[int, bool]:
        """Return how many were left out in the minute that is over, and whether this one is logged."""
        now = self._clock()
        minute = self._minutes.get(reason)
        left_out = 0
        if minute is None or not minute.began <= now < minute.began + MINUTE:
            left_out = minute.left_out if minute is not None else 0
            minute = self._minutes[reason] = _Minute(now)
        if minute.lines < _LINES:
            minute.lines += 1
            return left_out, True
        minute.left_out += 1
        return left_out, False
