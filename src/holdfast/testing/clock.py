"""A clock that a test sets."""

from __future__ import annotations

import threading


class FakeClock:
    """A `Clock` that stands still until it is advanced. Safe to share between threads.

    Args:
        now: The time it starts at, in milliseconds since the epoch.
    """

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass; a fraction counts to the millisecond."""
        self.advance_ms(round(seconds * 1000))

    def advance_ms(self, milliseconds: int) -> None:
        """Let *milliseconds* pass."""
        with self._lock:
            self._now += milliseconds
