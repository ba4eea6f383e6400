"""Bugs that the tests in test_time.py catch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from security.bugs import parse_spans_by
from support import seams

FAR = 4_000_000_000_000


def the_limit_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the very moment of its expiry a session is still valid."""
    verdict = seams.POLICY_VERDICT.sound
    seams.POLICY_VERDICT.plant(monkeypatch, lambda self, body, until, now, *rest: verdict(self, body, until, now - 1))


def the_future_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record from the future is always accepted."""
    seams.POLICY_CLOCK_SKEW.plant(monkeypatch, 1 << 70)


def no_clock_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record created a moment after now is not valid."""
    seams.POLICY_CLOCK_SKEW.plant(monkeypatch, 0)


def ttl_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to live is a thousand times too long."""
    init = seams.REDIS_WRITE_SCRIPT.sound

    def begin(self: Any, data: bytes, expires_at: int, owner: str | None, at: int) -> None:
        init(self, data, expires_at, owner, at)
        self.ttl *= 1000

    seams.REDIS_WRITE_SCRIPT.plant(monkeypatch, begin)


def lifetimes_are_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifetime of more than 2^31 milliseconds is truncated to 31 bits."""
    expires_at = seams.POLICY_EXPIRES_AT.sound
    seams.POLICY_EXPIRES_AT.plant(
        monkeypatch,
        lambda self, at, now, *rest: now + ((expires_at(self, at, now, *rest) - now) & 0x7FFFFFFF) % 86_400_000,
    )


def zero_is_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifetime of zero or less counts as no limit."""
    seams.POLICY_CHECKS.plant(monkeypatch, lambda self: None)

    parse_spans_by(monkeypatch, lambda value, sound: sound() if value is None or (value and _positive(value)) else FAR)


def _positive(value: Any) -> bool:
    return bool(value > timedelta(0) if isinstance(value, timedelta) else value > 0)
