"""Injected time: every part that needs the time gets a `Clock`. Spans are in milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "Clock", "system_clock"]

#: Returns the current time in milliseconds since the epoch.
Clock = Callable[[], int]

#: A second, in milliseconds.
SECOND = 1000
#: A minute, in milliseconds.
MINUTE = 60 * SECOND
#: An hour, in milliseconds.
HOUR = 60 * MINUTE
#: A day, in milliseconds.
DAY = 24 * HOUR


def system_clock() -> int:
    """Return the system's time in milliseconds since the epoch."""
    return int(time.time_ns() // 1_000_000)  # a library that patches the clock in tests may return fractions
