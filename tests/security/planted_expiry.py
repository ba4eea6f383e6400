"""Bugs that the tests in test_expiry.py catch."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from security import bugs
from support import seams

from holdfast.records.codec import JSON
from holdfast.records.envelope import Envelope
from holdfast.records.record import Record
from holdfast.sessions.policy import Policy
from holdfast.stores.contract import Store

DAY = 24 * 3600

FAR = 4_000_000_000_000


def recomputes_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The idle timeout is counted from the current request, as if a lookup were a use."""
    seams.POLICY_IDLE_DEADLINE.plant(monkeypatch, lambda policy, envelope, expires_at: FAR)


def touches_before_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store extends a session before its deadline is checked."""

    def load(store: Store, key: str) -> Record | None:
        if (record := store.load(key)) is not None:
            store.touch(key, expires_at=record.expires_at + 31 * DAY * 1000)
        return store.load(key)

    seams.plant_store_call(monkeypatch, "load", load)


def trusts_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the cookie expires; the server accepts a session as long as it is sent."""
    seams.POLICY_VERDICT.plant(monkeypatch, lambda policy, envelope, expires_at, now, *_: None)
    seams.POLICY_EXPIRES_AT.plant(monkeypatch, lambda policy, created_at, now, *_: FAR)


def forgets_the_absolute_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use extends a session without limit."""
    sound = seams.POLICY_CHECKS.sound

    def init(policy: Policy) -> None:
        object.__setattr__(policy, "absolute", FAR)
        sound(policy)

    seams.POLICY_CHECKS.plant(monkeypatch, init)
    seams.LONGEST_LIFE_WITHOUT_WARNING.plant(monkeypatch, FAR)


def takes_no_time_for_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record whose times are null, empty or missing never expires."""
    sound = seams.POLICY_VERDICT.sound

    def text(data: bytes) -> Envelope:
        fields = json.loads(re.sub(rb"NaN|-?Infinity", b"null", data))
        created_at = fields.get("created_at") or 0
        return Envelope(created_at, 0, 0, JSON.dumps(fields.get("payload")), JSON)

    def verdict(policy: Policy, envelope: Envelope, expires_at: int, now: int, *used_at: Any) -> Any:
        return sound(policy, envelope, expires_at, now, *used_at) if envelope.created_at else None

    seams.RECORD_DECODERS.plant_item(monkeypatch, ord("{"), text)
    seams.POLICY_VERDICT.plant(monkeypatch, verdict)


def takes_anything_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is no time counts as a time in the future."""
    sound = seams.POLICY_VERDICT.sound

    def verdict(policy: Policy, envelope: Envelope, expires_at: Any, now: int, *used_at: Any) -> Any:
        return sound(policy, envelope, expires_at if isinstance(expires_at, int) else FAR, now, *used_at)

    seams.POLICY_VERDICT.plant(monkeypatch, verdict)


def takes_nothing_for_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zero or empty timeout means no timeout."""
    bugs.parse_spans_by(monkeypatch, lambda value, sound: sound() if value or value is None else 400 * DAY * 1000)
