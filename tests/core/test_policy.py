"""Timeouts: the arithmetic of idle, absolute and renewal."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.clock import DAY, HOUR, MINUTE, SECOND
from holdfast.errors import ConfigurationError
from holdfast.records.envelope import Envelope
from holdfast.sessions.policy import RETENTION, SKEW, Policy

NOW = 1_800_000_000_000


def envelope(policy: Policy, *, created_at: int = NOW, issued_at: int = NOW) -> Envelope:
    """Return a session written under *policy*."""
    return Envelope(created_at, issued_at, policy.idle, b"")


def test_a_session_is_over_exactly_at_its_idle_deadline() -> None:
    """A millisecond before it is good, at the deadline it is not."""
    policy = Policy(idle=MINUTE)
    stored, expires_at = envelope(policy), policy.expires_at(NOW, NOW, {})
    assert policy.verdict(stored, expires_at, NOW + MINUTE - 1) is None
    assert policy.verdict(stored, expires_at, NOW + MINUTE) == "expired_idle"


def test_use_does_not_lengthen_the_absolute_timeout() -> None:
    """A session in steady use is over when its absolute timeout is."""
    policy = Policy(idle=MINUTE, absolute=10 * MINUTE)
    stored, expires_at = envelope(policy), 0
    for now in range(NOW, NOW + 10 * MINUTE, 10 * SECOND):
        expires_at = policy.expires_at(NOW, now, {})
        assert policy.verdict(stored, expires_at, now) is None
    assert expires_at <= NOW + 10 * MINUTE + RETENTION
    assert policy.verdict(stored, expires_at, NOW + 10 * MINUTE) == "expired_absolute"


@pytest.mark.parametrize("ahead", [SKEW + 1, DAY, 2**62])
def test_a_session_from_the_future_does_not_count(ahead: int) -> None:
    """Clocks may differ by the skew; beyond it the record is not yet valid."""
    policy = Policy()
    assert policy.verdict(envelope(policy, created_at=NOW + SKEW), policy.expires_at(NOW, NOW, {}), NOW) is None
    late = envelope(policy, created_at=NOW + ahead)
    assert policy.verdict(late, policy.expires_at(NOW, NOW, {}), NOW) == "not_yet_valid"
    assert policy.verdict(envelope(policy, issued_at=NOW + ahead), NOW + DAY, NOW) == "not_yet_valid"


def test_a_missing_time_means_dead() -> None:
    """A record whose times are zero is over, not eternal."""
    assert Policy().verdict(Envelope(0, 0, 0, b""), 2**62, NOW) is not None


def test_a_shorter_idle_timeout_holds_for_stored_sessions() -> None:
    """Lowering the setting ends sessions by the new timeout, and use under it keeps them alive."""
    old, new = Policy(idle=DAY), Policy(idle=HOUR)
    stored, expires_at = envelope(old), old.expires_at(NOW, NOW, {})
    assert new.verdict(stored, expires_at, NOW + HOUR - 1) is None
    assert new.verdict(stored, expires_at, NOW + HOUR) == "expired_idle"
    assert new.touch_due(stored, expires_at, NOW + MINUTE)


@pytest.mark.parametrize(
    ("idle", "throttle"),
    [
        (10 * DAY, 15 * MINUTE),
        (2 * HOUR, 12 * MINUTE),
        (HOUR, MINUTE),
        (30 * MINUTE, MINUTE),
        (5 * MINUTE, 30 * SECOND),
        (10 * SECOND, SECOND),
    ],
)
def test_touch_is_throttled(idle: int, throttle: int) -> None:
    """A tenth of the idle timeout must have passed: at most 15 minutes, and a minute where it is an hour or less."""
    policy = Policy(idle=idle)
    stored, expires_at = envelope(policy), policy.expires_at(NOW, NOW, {})
    assert not policy.touch_due(stored, expires_at, NOW + throttle - 1)
    assert policy.touch_due(stored, expires_at, NOW + throttle)


def test_no_touch_where_it_would_not_lengthen_the_life() -> None:
    """At the end of the absolute timeout a touch has no effect."""
    policy = Policy(idle=HOUR, absolute=2 * HOUR)
    expires_at = policy.expires_at(NOW, NOW + HOUR + 1, {})
    assert not policy.touch_due(envelope(policy), expires_at, NOW + 2 * HOUR - 1)


def test_renewal_is_due_by_the_age_of_the_token() -> None:
    """Without an interval it never is."""
    assert Policy(renewal=HOUR).renewal_due(NOW, NOW + HOUR)
    assert not Policy(renewal=HOUR).renewal_due(NOW, NOW + HOUR - 1)
    assert not Policy().renewal_due(NOW, NOW + 1000 * DAY)


@pytest.mark.parametrize("name", ["idle", "absolute", "renewal", "grace", "max_bytes", "attempts"])
@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan"), float("inf"), True, "1"])
def test_a_span_must_be_a_whole_number(name: str, value: Any) -> None:
    """Zero, less, and what is no whole number, such as a limit that no size exceeds, are refused by name."""
    with pytest.raises(ConfigurationError, match=f"{name} is .*: it must be a whole number, 1 or more"):
        Policy(**{name: value})
