"""Time, injected: everything that needs to know the time is given a `Clock`."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Returns the current time in milliseconds since the epoch.
Clock = Callable[[], int]


def system_clock() -> int:
    """Return the system's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
