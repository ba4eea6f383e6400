"""Metadata of a session: text under short names, in the envelope, apart from the payload.

It can be read without the payload: in a list of a user's sessions, and when the payload is sealed with the cookie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

#: The public id of the session, from a login or the session's start to its end, through every rotation.
SID = "sid"
#: Set if the session's cookie outlives the browser.
PERMANENT = "permanent"
#: The idle timeout of the session, in milliseconds, if it has one of its own.
LIFETIME = "lifetime"
#: The application's own name for the session.
LABEL = "label"
#: The client address of the login.
ADDRESS = "address"
#: The owner value of the operator who has signed in as the session's user.
IMPERSONATOR = "impersonator"
#: What the remember-me cookie of its browser is known by: a sid.
REMEMBERED = "remembered"
#: Where the client sends its token, if not in the cookie.
TRANSPORT = "transport"
#: The application, among several that share a store: its namespace, omitted for the default.
NAMESPACE = "namespace"
#: The key that a renewal replaced by the session's current one, until a browser presents the new token.
PREVIOUS = "previous"
#: The keys of the other sessions whose cookies a browser presented when it was given this one. It counts before them.
BESIDE = "beside"
#: The start of a login that the store did not let finish, and the former key of its session.
UNFINISHED = "unfinished"

#: When the session's cookie was last sent, in milliseconds since the epoch, if not when its token was made.
SENT_AT = "sent_at"

#: When the user authenticated, in milliseconds since the epoch.
AUTHENTICATED_AT = "authenticated_at"
#: The owner value of a user who signed out and left data in the session.
DATA_OWNER = "data_owner"
#: Present until a request has used that authentication.
UNUSED = "unused"

#: The place of a name in this list is its number in a record: a name is only ever added, at the end.
NAMES = (
    *(SID, PERMANENT, LIFETIME, LABEL, ADDRESS, IMPERSONATOR, REMEMBERED, TRANSPORT, NAMESPACE, PREVIOUS, BESIDE),
    *(UNFINISHED, SENT_AT, AUTHENTICATED_AT, DATA_OWNER, UNUSED, "browser", "os", "device", "agent"),
)

#: The longest label, in characters.
LONGEST_LABEL = 100

# Control characters, surrogates, line breaks, and characters that change the direction of text.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Device:
    """The device families of a login's User-Agent. A client can send any header: use it only for display.

    Attributes:
        browser: Such as ``Firefox``, or None.
        os: Such as ``Linux``, or None.
        family: Such as ``iPhone``; None if unknown, as on most computers.
    """

    browser: str | None = None
    os: str | None = None
    family: str | None = None

    def __str__(self) -> str:
        """Return it as text: ``Firefox on Linux``."""
        words = " on ".join(part for part in (self.browser, self.os) if part)
        if self.family is None or self.family in words:
            return words
        return f"{words} ({self.family})" if words else self.family

    def as_meta(self) -> dict[str, str | None]:
        """Return its entries in the metadata."""
        return {"browser": self.browser, "os": self.os, "device": self.family}


_NO_DEVICE = Device()


def device_in(meta: Mapping[str, str]) -> Device | None:
    """Return the device in *meta*, or None."""
    device = Device(meta.get("browser"), meta.get("os"), meta.get("device"))
    return None if device == _NO_DEVICE else device


def moment(meta: Mapping[str, str], name: str) -> int | None:
    """Return the time under *name* in *meta*, in milliseconds since the epoch, or None if there is none."""
    text = meta.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def lifetime_from(value: timedelta | float | None) -> str | None:
    """Return *value*, a timedelta or seconds, as a lifetime in milliseconds; None for None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):
        raise TypeError(f"a lifetime must be a timedelta or seconds, not {type(value).__name__}")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0.001 <= seconds < 10**12:
        raise ValueError(
            f"a lifetime of {seconds} seconds is none: it must be from a millisecond to less than 10**12 seconds"
        )
    return str(int(seconds * 1000))


def label_from(text: object) -> str | None:
    """Return *text* as a label, stripped; None for None and for an empty text."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"a label must be text, not {type(text).__name__}")
    label = text.strip()
    if len(label) > LONGEST_LABEL:
        raise ValueError(f"a label of {len(label)} characters is too long: {LONGEST_LABEL} are the most")
    if _UNFIT.search(label):
        raise ValueError("a label must be one line of text, without control characters")
    return label or None


def fit(text: str, longest: int) -> str | None:
    """Return foreign *text* as one line of at most *longest* characters, or None if it is empty."""
    return _UNFIT.sub("", text[:longest]).strip() or None
