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
from holdfast.records.envelope import Control, Envelope, Sealed, Unsealed, decode
from holdfast.records.record import Record
from holdfast.records.tokens import Keys, labelled
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import StoredSession


@dataclass(frozen=True, slots=True)
class Context:
    """One application's circumstances.

    *events* is its stream of events, *sealer* seals its records. *capabilities* are those of its store.
    *new_tokens* counts the tokens made since the start. *lists_unopened*: sealed sessions that no key opens are listed,
    by their times.
    """

    policy: Policy
    keys: Keys
    codec: Codec
    clock: Clock
    events: Events
    capabilities: frozenset[type] = frozenset()
    sealer: Sealer | Unsealed = field(default_factory=Unsealed)
    new_tokens: Iterator[int] = field(default_factory=partial(count, 1))
    lists_unopened: bool = False

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

    def seal_control(self, key: str, control: Control) -> bytes:
        """Return the bytes to store for *control* under *key*."""
        return self.sealer.seal_control(control, place=self._place(key))

    def read(self, key: str, record: Record) -> Envelope | Sealed | Control:
        """Return what *record*, stored under *key*, holds: a session as it is stored, or a control record.

        Raises:
            UnknownKey: It is a control record that an unknown key vouches for.
            DecodeError: It is damaged, or a control record that no key vouches for, where there are keys.
        """
        body = decode(record.data)
        if isinstance(body, Envelope | Sealed):
            return body
        return self.sealer.open_control(body, place=self._place(key))

    def _place(self, key: str) -> bytes:
        return labelled(self.keys.namespace.encode(), key.encode())
