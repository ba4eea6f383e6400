"""When the user of a session proved who they are, as the session's metadata tells it."""

from __future__ import annotations

from collections.abc import Mapping

_AT = "authenticated_at"

#: There until one request has made use of the authentication.
_UNSPENT = "unspent"


def note_of(at: int | None, *, spent: bool) -> dict[str, str | None]:
    """Return the metadata for a user who proved who they are *at* that moment, or did not; None removes what is there.

    *spent*: one request has made use of it already.
    """
    known = at is not None
    return {_AT: str(at) if known else None, _UNSPENT: "1" if known and not spent else None}


def spend(meta: Mapping[str, str]) -> dict[str, str] | None:
    """Return *meta* after one request has made use of the authentication; None when one had already, or there is none.

    When it took place is still known.
    """
    return {name: value for name, value in meta.items() if name != _UNSPENT} if _UNSPENT in meta else None


def authenticated_at(meta: Mapping[str, str]) -> int | None:
    """Return when the user proved who they are, in milliseconds since the epoch, or None: not so, or not known."""
    text = meta.get(_AT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
