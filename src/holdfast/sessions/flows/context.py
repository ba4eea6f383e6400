"""What the flows work with: one application's policy, keys, codec, clock and store capabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from blinker import NamedSignal

from holdfast import events
from holdfast.clock import Clock
from holdfast.errors import RecordTooLarge
from holdfast.metrics.observer import Observers
from holdfast.metrics.rejections import RejectionLog
from holdfast.records.codec import Codec
from holdfast.records.encryption import Sealer, Unsealed
from holdfast.records.envelope import Envelope
from holdfast.records.tokens import Keys
from holdfast.sessions.policy import Policy


@dataclass(frozen=True, slots=True)
class Context:
    """One application's circumstances.

    *sender* is who its signals come from, *sealer* seals its records. *rotates*, *indexes* and *confirms* tell which
    capabilities its store has. *observers* are told what happens, *rejections* logs
    what is not accepted.
    """

    policy: Policy
    keys: Keys
    codec: Codec
    clock: Clock
    sender: object
    rotates: bool
    indexes: bool
    confirms: bool = False
    sealer: Sealer | Unsealed = field(default_factory=Unsealed)
    observers: Observers | None = None
    rejections: RejectionLog | None = None

    def emit(self, signal: NamedSignal, **details: Any) -> None:
        """Send *signal* from the application, and count it."""
        if self.observers is not None:
            self.observers.heard(signal.name, details)
        events.emit(signal, self.sender, **details)

    def count(self, event: str, label: str = "") -> None:
        """Count an event that is no signal: see `holdfast.metrics.observer.EVENTS`."""
        if self.observers is not None:
            self.observers.count(event, label)

    def reject(self, reason: events.RejectReason) -> None:
        """Tell that a cookie was not accepted."""
        if self.rejections is not None:
            self.rejections.note(reason)
        self.emit(events.rejected, reason=reason)

    def envelope(
        self, payload: bytes, *, created_at: int, issued_at: int, meta: dict[str, str] | None = None
    ) -> Envelope:
        """Return the envelope for a session that is written now.

        Raises:
            RecordTooLarge: The payload exceeds the policy's limit.
        """
        if len(payload) > self.policy.max_bytes:
            raise RecordTooLarge(len(payload), self.policy.max_bytes)
        return Envelope(created_at, issued_at, self.policy.idle, payload, self.codec, meta or {})

    def expires_at(self, envelope: Envelope, now: int) -> int:
        """Return until when the store keeps *envelope*, used *now*."""
        return self.policy.expires_at(envelope.created_at, now)

    def seal(self, envelope: Envelope, *, token: str, key: str, owner: str | None) -> bytes:
        """Return the bytes to store for *envelope* under *key*, with *owner*, for the holder of *token*."""
        return self.sealer.seal(envelope, token=token, key=key, owner=owner)
