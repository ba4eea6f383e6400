"""The context of the flows: one application's policy, keys, codec, clock and store capabilities."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from holdfast.clock import Clock
from holdfast.events import Events, RejectReason, Transport
from holdfast.records.codec import Codec
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Unsealed
from holdfast.records.tokens import Keys, is_user_id
from holdfast.sessions.ops import Flow, now
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import IDENTITY
from holdfast.stores.contract import KeepsTime

if TYPE_CHECKING:
    from holdfast.imports.place import OldPlace

_FIRST_TOKEN_BELOW = 10_000
#: The seconds for which a measurement of the shared clock holds.
_HOLDS = 60.0
#: One that took longer, in milliseconds, is too inaccurate to hold.
_SLOW = 100


@dataclass(slots=True)
class Offset:
    """How many milliseconds the shared clock is ahead of this host's, and when that is to be measured next."""

    value: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Context:
    """One application's circumstances.

    *events* is its stream of events, *sealer* seals its records. *capabilities* are those of its store.
    *new_tokens* counts the tokens made since the start, from a random number. *offset* is that of the shared clock:
    see `offset_of`. *lists_unopened*: sealed sessions that no key opens are listed, by their times. *old_place* is
    where sessions were that are taken over, or None. *transport* is where the tokens are. *timer* returns monotonic
    seconds.
    """

    policy: Policy
    keys: Keys
    codec: Codec
    clock: Clock
    events: Events
    capabilities: frozenset[type] = frozenset()
    sealer: Sealer | Unsealed = field(default_factory=Unsealed)
    # From anywhere: workers that are replaced after fewer tokens than there are between two purges purge, too.
    new_tokens: Iterator[int] = field(default_factory=lambda: count(1 + secrets.randbelow(_FIRST_TOKEN_BELOW)))
    offset: Offset = field(default_factory=Offset)
    lists_unopened: bool = False
    old_place: OldPlace | None = None
    transport: Transport = "cookie"
    timer: Callable[[], float] = time.monotonic

    def owner_named(self, data: Mapping[Any, Any]) -> str | None:
        """Return the owner value of the user whom a session's *data* name, first by Flask-Login's key, or None."""
        ids = (data.get(key) for key in (IDENTITY, *self.policy.identity_keys))
        return next((self.keys.owner_of(id_) for id_ in ids if is_user_id(id_)), None)

    def reject(self, reason: RejectReason) -> None:
        """Report that the token of a request is not accepted."""
        self.events.emit("rejected", reason=reason, transport=self.transport)


def offset_of(context: Context) -> Flow[int]:
    """Return how many milliseconds the shared clock is ahead of this host's; it is measured at most once a minute.

    That is the store's clock, if it `KeepsTime`; otherwise each host's own counts, and they must agree: 0.
    """
    offset = context.offset
    if KeepsTime in context.capabilities and context.timer() >= offset.due:
        before = context.clock()
        theirs = yield from now()
        after = context.clock()
        # The question took a while, and the answer is of any moment in it: the known value stays as far as it may.
        offset.value = min(max(offset.value, theirs - after), theirs - before)
        if after - before <= _SLOW:
            offset.due = context.timer() + _HOLDS
    return offset.value
