"""The context of the flows: one application's policy, keys, codec, clock and store capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from holdfast.clock import Clock
from holdfast.events import Events
from holdfast.records.codec import Codec
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Control, Envelope, Sealed, Unsealed, decode
from holdfast.records.record import Record
from holdfast.records.tokens import Keys
from holdfast.sessions.policy import Policy

if TYPE_CHECKING:
    from holdfast.imports.place import OldPlace


@dataclass(frozen=True, slots=True)
class Context:
    """One application's circumstances.

    *events* is its stream of events, *sealer* seals its records. *capabilities* are those of its store.
    *new_tokens* counts the tokens made since the start. *lists_unopened*: sealed sessions that no key opens are listed,
    by their times. *old_place* is where sessions were that are taken over, or None.
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
    old_place: OldPlace | None = None

    def read(self, key: str, record: Record) -> Envelope | Sealed | Control:
        """Return what *record*, stored under *key*, holds: a session as it is stored, or a control record.

        Raises:
            UnknownKey: It is a control record that an unknown key vouches for.
            DecodeError: It is damaged, or a control record that no key vouches for, where there are keys.
        """
        body = decode(record.data)
        if isinstance(body, Envelope | Sealed):
            return body
        return self.sealer.open_control(body, place=(self.keys.namespace, key))
