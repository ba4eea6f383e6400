"""After a refused save: find out whether it was applied, or merge into it what another request stored first.

Stores do not repeat a write. A driver may, so `Conflict` or None can be about the write itself.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from holdfast.errors import SessionConflict, StoreUnavailable
from holdfast.records.envelope import ID_BYTES, includes, newest
from holdfast.records.record import Conflict, Gone
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.open import Found, Rejected, resolve
from holdfast.sessions.merge import Encodings, merge
from holdfast.sessions.ops import Flow, load, pause
from holdfast.sessions.state import SessionState, StoredSession


@dataclass(frozen=True, slots=True)
class Lost:
    """The store failed during a write, and it is unknown whether the write was applied."""


@dataclass(slots=True, repr=False)
class Write:
    """One change to a session, through all its attempts.

    Attributes:
        id: Part of the record's history after the change is applied.
        base: The newest write of the record in an attempt whose answer was lost, while that attempt may be applied.
        error: The store's exception in place of that answer.
        reconciled: The number of times that another write came first.
        deadline: When the policy's time for further attempts ends.
        exhausted: That time, or the policy's number of attempts, is used up.
        tried_at: When the current attempt began, in milliseconds since the epoch.
        same: Compares values in a merge; None before the first one.
        known: The session that another write stored, as it was merged last, with its data.
    """

    id: bytes = field(default_factory=partial(os.urandom, ID_BYTES))
    base: bytes = b""
    error: StoreUnavailable | None = None
    reconciled: int = 0
    deadline: int | None = None
    exhausted: bool = False
    tried_at: int = 0
    same: Encodings | None = None
    known: Found | None = None

    def lose(self, error: StoreUnavailable, base: bytes) -> Lost:
        """Note that the answer to an attempt was lost, and that another may be made; the second time, raise *error*."""
        if self.error is not None:
            raise error
        self.error, self.base = error, base
        return Lost()

    def is_applied(self, history: bytes) -> bool:
        """Return whether the change is applied to the record with *history*.

        It is unknown if an answer was lost and many writes followed: then raise `StoreUnavailable`.
        """
        if includes(history, self.id):
            return True
        if self.base and newest(history) != self.base:
            if not includes(history, self.base):
                raise self.error or StoreUnavailable("whether a write was applied is unknown")
            self.base = b""  # the writes since the attempt make it fail, if it still arrives
        return False

    def refuse_if_unknown(self) -> None:
        """Raise the store's error if an answer was lost and the record that could replace it is missing."""
        if self.base and self.error is not None:
            raise self.error


@dataclass(frozen=True, slots=True, repr=False)
class Applied:
    """A write is applied, whatever the store answered: the session as it is now, with its data."""

    stored: StoredSession
    data: dict[Any, Any]


def reconcile(
    context: Context, state: SessionState, stored: StoredSession, answer: Conflict | Gone | Lost, write: Write
) -> Flow[StoredSession | Applied | None]:
    """Merge into the session what another request stored first, and return that as what to build on.

    Returns None when the session is over. A renewal is followed to the new token; a rotation is the end of the old id.
    From the second time on it waits first, to let the others pass; a login, a logout and a rotation do not wait.

    Returns `Applied` when *write* is applied already: an answer was lost, here or between a driver and its server.

    Raises:
        SessionConflict: The policy is not to merge, and the request asks for no login, logout or rotation.
        StoreUnavailable: An answer was lost, and whether the write is applied is unknown.
    """
    if isinstance(answer, Gone):
        return None
    current = None
    if isinstance(answer, Conflict):
        context.events.emit("conflicts")
        current = answer.current
    if write.reconciled and not state.changes.new_token:
        yield from pause(_delay(write.reconciled, context.clock() - write.tried_at))
        current = None  # what the conflict brought along is old by now
    now, policy = context.clock(), context.policy
    write.deadline = now + policy.patience if write.deadline is None else write.deadline
    write.reconciled, write.tried_at = write.reconciled + 1, now
    write.exhausted = write.reconciled >= policy.attempts or now > write.deadline
    record = current or (yield from load(stored.key, fresh=True))
    found = yield from resolve(context, stored.token, stored.key, record, now=context.clock(), late=True)
    if isinstance(found, Rejected):
        if found.reason == "superseded":
            state.login_begins_anew = True
            context.events.emit("superseded", handle=stored.key)
        return None
    theirs, their_data, _ = found
    applied = write.is_applied(theirs.envelope.writes)
    if not applied and (theirs.key, theirs.version) != (stored.key, stored.version):
        may_fail = context.policy.on_conflict == "error" and not state.changes.new_token
        if may_fail and _clashes(state, stored, theirs):
            raise SessionConflict("another request changed the session first: repeat the request")
        if not state.changes.wiped:
            state.data = merged(context, state, stored, their_data, write)
    state.stored, state.redeliver = theirs, state.redeliver or theirs.token != stored.token
    write.known = found
    return Applied(theirs, their_data) if applied else theirs


def _clashes(state: SessionState, stored: StoredSession, theirs: StoredSession) -> bool:
    """Return whether both sides changed data, and not only the mark of a renewal."""
    only_marked = state.renewed_from is not None and not state.differs
    return theirs.envelope.payload != stored.envelope.payload and not only_marked


def merged(
    context: Context, state: SessionState, stored: StoredSession, theirs: dict[Any, Any], write: Write
) -> dict[Any, Any]:
    """Return the data of *state*, which began from *stored*, with what others made of them."""
    same = write.same = write.same or Encodings(context.codec.dumps)
    same.forget_unused()
    known, envelope = write.known, stored.envelope
    base = known.data if known and known.stored is stored else envelope.codec.loads(envelope.payload)
    context.events.emit("merges")
    merged = merge(base, state.data, theirs, same=same)
    merged.update(state.changes.reapplied(theirs))
    return merged


def _delay(attempt: int, took: int) -> float:
    """Return how long to wait before the next try, in milliseconds: longer each time, with jitter.

    It is at most 50, or several times what the last try *took*, so that of many requests with much data few collide.
    """
    return random.uniform(0, max(min(2**attempt, 50), min(took * attempt, 1000)))  # noqa: S311  # jitter, not a secret


def still_contested() -> SessionConflict:
    """Return the error for a session that others kept changing until the tries were used up."""
    return SessionConflict("other requests kept changing the session: repeat the request")
