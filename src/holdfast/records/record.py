"""What a store holds, and what its methods answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

#: The compare-and-set token of a record, chosen by the store and opaque to everyone else. A version is
#: never used twice for one key, not even after the record was deleted and created again.
Version: TypeAlias = int | str | bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One record as `Store.load` returns it.

    Attributes:
        data: The envelope, opaque bytes.
        version: What the next `Store.replace` must *expect*.
        expires_at: Milliseconds since the epoch; from this moment on the record is not there.
        owner: The opaque index value of the user the session is bound to, or None.
    """

    data: bytes
    version: Version
    expires_at: int
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """The record has another version than expected; nothing was written.

    *current* is the record as it is now where the store has it at hand, else None: load it.
    """

    current: Record | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no live record under the key: it was deleted, it expired, or it never was. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Page:
    """One step of `Iterates.scan`.

    *after* continues the scan; None means it is complete. A page may be empty without being the last.
    """

    items: tuple[tuple[str, Record], ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a store found out about the place where it keeps records.

    Attributes:
        name: What was looked at, in a word or two, such as ``"eviction"``.
        found: What was found, in a sentence.
        fix: What to change, as exactly as can be told. Default: empty, nothing.
        ok: Whether it is as it should be; None where that could not be found out, or is for people to decide.
    """

    name: str
    found: str
    fix: str = ""
    ok: bool | None = field(kw_only=True)
