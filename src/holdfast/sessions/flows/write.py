"""Writes whose answer may be lost: find out whether such a write was applied, so that none is applied twice.

Stores do not repeat a write. A driver may, so `Conflict` or None can be about the write itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import StoreUnavailable
from holdfast.records.envelope import includes, new_write_id, newest
from holdfast.records.record import Version
from holdfast.sessions import ops
from holdfast.sessions.ops import Flow, load


@dataclass(frozen=True, slots=True)
class Lost:
    """The store failed during a write, and it is unknown whether the write was applied."""


@dataclass(slots=True)
class Write:
    """One change to a session, through all its attempts.

    Attributes:
        id: Part of the record's history after the change is applied.
        base: The newest write of the record in an attempt whose answer was lost, while that attempt may be applied.
        error: The store's exception in place of that answer.
        reconciled: The number of times that another write came first.
    """

    id: bytes = field(default_factory=new_write_id)
    base: bytes = b""
    error: StoreUnavailable | None = None
    reconciled: int = 0

    def lose(self, error: StoreUnavailable, base: bytes) -> Lost:
        """Note that the answer to an attempt was lost. The change may be attempted once more.

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
            StoreUnavailable: An answer was lost, and too many writes followed to determine its result.
        """
        if includes(history, self.id):
            return True
        if self.base and newest(history) != self.base:
            if not includes(history, self.base):
                raise self.error or StoreUnavailable("whether a write was applied is unknown")
            self.base = b""  # the writes since the attempt make it fail, if it still arrives
        return False

    def refuse_if_unknown(self) -> None:
        """Raise if an answer was lost and the record that could replace it is missing.

        Raises:
            StoreUnavailable: The store failed in the attempt.
        """
        if self.base and self.error is not None:
            raise self.error


def create_once(key: str, data: bytes, expires_at: int, owner: str | None = None) -> Flow[Version | None]:
    """Make a record of unique *data* under a new *key*; None if another record exists.

    Raises:
        StoreUnavailable: The store failed twice.
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
