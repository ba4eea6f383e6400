"""A clock for tests."""

from __future__ import annotations

import threading


class FakeClock:
    """A `Clock` that stands still until it is advanced. Thread-safe.

    Args:
        now: The start time, in milliseconds since the epoch.
    """

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance by *seconds*; a fraction counts to the millisecond."""
        self.advance_ms(round(seconds * 1000))

    def advance_ms(self, milliseconds: int) -> None:
        """Advance by *milliseconds*."""
        with self._lock:
            self._now += milliseconds
