"""What happens to sessions, as blinker signals, and the frozen words for it.

The sender is the application. Receivers get keyword arguments: *handle* (the session's public name), and where it
applies *reason*, *owner*, *previous* (the handle before a rotation) or *error*; never a token, never session data.
A receiver that raises does not change what happens to the session: the error is logged.
"""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias
from weakref import ReferenceType

from blinker import Namespace, Signal

RejectReason: TypeAlias = Literal[
    "malformed",
    "too_long",
    "ambiguous_cookie",
    "bad_signature",
    "unknown_id",
    "superseded",
    "expired_idle",
    "expired_absolute",
    "not_yet_valid",
    "corrupt",
    "unknown_key",
    "binding_changed",
    "store_unavailable",
]
EndReason: TypeAlias = Literal["logout", "revoked", "expired", "evicted", "replaced"]
SaveResult: TypeAlias = Literal["saved", "merged", "unchanged", "gone", "conflict"]
RevokeResult: TypeAlias = Literal["confirmed", "unconfirmed", "absent"]

_signals = Namespace()

#: A record was made. *handle*, *owner*.
created = _signals.signal("created")
#: A session got a new token. *handle*, *previous*.
rotated = _signals.signal("rotated")
#: A session was bound to a user. *handle*, *owner*.
bound = _signals.signal("bound")
#: A session is over. *handle*, *owner*, *reason*: one of `EndReason`.
ended = _signals.signal("ended")
#: A change was dropped because the session had ended meanwhile. *handle*.
gone = _signals.signal("gone")
#: A cookie was not accepted. *reason*: one of `RejectReason`.
rejected = _signals.signal("rejected")
#: A request came with, or saved under, an id that a rotation had replaced. *handle* is the old one.
superseded = _signals.signal("superseded")
#: The store could not be used. *error*.
store_unavailable = _signals.signal("store_unavailable")

_logger = logging.getLogger("holdfast")


def emit(signal: Signal, sender: object, **details: Any) -> None:
    """Tell every receiver; one that raises is logged and the others are still told.

    *sender* may be a weak reference to the sender.
    """
    if not signal.receivers:
        return
    if isinstance(sender, ReferenceType):
        sender = sender()
    for receiver in signal.receivers_for(sender):
        try:
            receiver(sender, **details)
        except Exception:  # the one boundary to receivers, whose failure must not undo a logout
            _logger.exception("a receiver of %r failed", signal)
