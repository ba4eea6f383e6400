"""What the flows work with: one application's policy, keys, codec, clock and store capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from holdfast.clock import Clock
from holdfast.errors import RecordTooLarge
from holdfast.events import Events
from holdfast.records.codec import Codec
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Envelope, Unsealed
from holdfast.records.tokens import Keys
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import StoredSession


@dataclass(frozen=True, slots=True)
class Context:
    """One application's circumstances.

    *events* is its stream of events, *sealer* seals its records. *capabilities* are those of its store.
    *new_tokens* counts the tokens made since the start.
    """

    policy: Policy
    keys: Keys
    codec: Codec
    clock: Clock
    events: Events
    capabilities: frozenset[type] = frozenset()
    sealer: Sealer | Unsealed = field(default_factory=Unsealed)
    new_tokens: Iterator[int] = field(default_factory=partial(count, 1))

    def envelope(
        self,
        payload: bytes,
        *,
        created_at: int,
        issued_at: int,
        meta: dict[str, str] | None = None,
        writes: bytes = b"",
    ) -> Envelope:
        """Return the envelope for a session that is written now.

        Raises:
            RecordTooLarge: The payload exceeds the policy's limit.
        """
        if len(payload) > self.policy.max_bytes:
            raise RecordTooLarge(len(payload), self.policy.max_bytes)
        return Envelope(created_at, issued_at, self.policy.idle, payload, self.codec, meta or {}, writes)

    def expires_at(self, envelope: Envelope, now: int) -> int:
        """Return until when the store keeps *envelope*, used *now*."""
        return self.policy.expires_at(envelope.created_at, now)

    def seal(self, stored: StoredSession) -> bytes:
        """Return the bytes to store for *stored*."""
        return self.sealer.seal(stored.envelope, token=stored.token, key=stored.key, owner=stored.owner)
