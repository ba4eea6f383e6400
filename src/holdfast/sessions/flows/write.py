"""Writes whose answer may be lost: find out whether such a write was applied, so that none is applied twice.

Stores repeat no write. A driver may, so `Conflict` or None can be about the write itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict, Gone, Version
from holdfast.records.writes import includes, new_write_id, newest
from holdfast.sessions import ops
from holdfast.sessions.ops import Flow, load


@dataclass(frozen=True, slots=True)
class Lost:
    """The store failed during a write, and whether it was applied is not known."""


@dataclass(slots=True)
class Write:
    """One change to a session, through all its tries.

    Attributes:
        id: What the record's history includes once the change is applied.
        base: The newest write of the record that a try was for whose answer was lost, while that try may be applied.
        error: What the store raised instead of that answer.
        reconciled: How often another write came first.
    """

    id: bytes = field(default_factory=new_write_id)
    base: bytes = b""
    error: StoreUnavailable | None = None
    reconciled: int = 0

    def lose(self, error: StoreUnavailable, base: bytes) -> Lost:
        """Note that the answer to a try was lost. The change may be tried once more.

        Raises:
            StoreUnavailable: *error*, the second time.
        """
        if self.error is not None:
            raise error
        self.error, self.base = error, base
        return Lost()

    def is_applied(self, history: bytes) -> bool:
        """Return whether the change is applied to the record with *history*.

        Raises:
            StoreUnavailable: An answer was lost, and too much was written since to know.
        """
        if includes(history, self.id):
            return True
        if self.base and newest(history) != self.base:
            if not includes(history, self.base):
                raise self.error or StoreUnavailable("whether a write was applied is unknown")
            self.base = b""  # what was written since the try makes it fail, if it still arrives
        return False

    def refuse_if_unknown(self) -> None:
        """Refuse to go on where an answer was lost and the record that could replace it is gone.

        Raises:
            StoreUnavailable: The store failed in the try.
        """
        if self.base and self.error is not None:
            raise self.error


def create_once(key: str, data: bytes, expires_at: int, owner: str | None = None) -> Flow[Version | None]:
    """Make a record of *data*, which no other write has, under a *key* of its own; None where another one is there.

    Raises:
        StoreUnavailable: The store failed, and again.
    """
    for is_last in (False, True):
        try:
            answer = yield from ops.create(key, data, expires_at, owner)
        except StoreUnavailable:
            if is_last:
                raise
            record = yield from load(key, fresh=True)
            if record is None:
                continue
        else:
            if answer is not None:
                return answer
            record = yield from load(key, fresh=True)
        return record.version if record is not None and record.data == data else None
    return None


def unless_mine(answer: Version | Conflict | Gone, data: bytes) -> Version | Conflict | Gone:
    """Return *answer*, or the version of the record if it holds *data*, which no other write has: it is applied."""
    current = answer.current if isinstance(answer, Conflict) else None
    return current.version if current is not None and current.data == data else answer
