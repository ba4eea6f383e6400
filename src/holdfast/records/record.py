"""The record, and the answers of a store's methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

#: The compare-and-set token of a record, chosen by the store and opaque to all others. A version is never used twice
#: for one key, not even after the record was deleted and created again.
Version: TypeAlias = int | str | bytes


@dataclass(slots=True, repr=False)
class Record:
    """One record as `Store.load` returns it.

    Attributes:
        data: The envelope, opaque bytes.
        version: The value of *expect* for the next `Store.replace`.
        expires_at: Milliseconds since the epoch; from this moment on the record counts as missing.
        owner: The opaque index value of the user the session is bound to, or None.
    """

    data: bytes
    version: Version
    expires_at: int
    owner: str | None = None


class Rotation(NamedTuple):
    """A rotation: the record under *old* gets the key *new*, and leaves a tombstone.

    Attributes:
        old, new: The keys.
        data: The envelope of *new*.
        tombstone: The envelope of *old* from now on, which has no owner.
        expect: The version that the record under *old* must have.
        expires_at: The expiry of *new*, in milliseconds since the epoch.
        grace_until: The expiry of the tombstone, in milliseconds since the epoch.
        owner: The owner of *new*. Default: None.
    """

    old: str
    new: str
    data: bytes
    tombstone: bytes
    expect: Version
    expires_at: int
    grace_until: int
    owner: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


@dataclass(frozen=True, slots=True)
class Conflict:
    """The record has another version than expected; nothing was written.

    *current* is the current record if the store has it at hand, else None: load it.
    """

    current: Record | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no live record under the key: it was deleted, it expired, or it never existed. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Page:
    """One step of a walk, by `Iterates.scan` or `Indexes.find`.

    *after* continues the walk; None means it is complete. A page may be empty without being the last.
    """

    items: tuple[tuple[str, Record], ...]
    after: str | None
