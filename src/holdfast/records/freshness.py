"""The time at which the user of a session authenticated, in the session's metadata."""

from __future__ import annotations

from collections.abc import Mapping

_AT = "authenticated_at"

#: Present until a request has used the authentication.
_UNSPENT = "unspent"


def note_of(at: int | None, *, spent: bool) -> dict[str, str | None]:
    """Return the metadata for a user who authenticated *at* that moment, or did not; None removes the entry.

    *spent*: a request has already used it.
    """
    known = at is not None
    return {_AT: str(at) if known else None, _UNSPENT: "1" if known and not spent else None}


def spend(meta: Mapping[str, str]) -> dict[str, str] | None:
    """Return *meta* after a request has used the authentication; None if one already had, or if there is none.

    The time is still recorded.
    """
    return {name: value for name, value in meta.items() if name != _UNSPENT} if _UNSPENT in meta else None


def authenticated_at(meta: Mapping[str, str]) -> int | None:
    """Return when the user authenticated, in milliseconds since the epoch, or None if not, or if unknown."""
    text = meta.get(_AT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
