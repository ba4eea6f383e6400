"""What a request finds behind its cookie, and what becomes of it: between the session and the flows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from holdfast.events import SaveResult
from holdfast.records.envelope import Envelope
from holdfast.records.record import Version


@dataclass(slots=True)
class Loaded:
    """A live session as the store holds it. *token* opens it, *key* and *version* address it."""

    token: str
    key: str
    version: Version
    expires_at: int
    owner: str | None
    envelope: Envelope

    @property
    def value(self) -> str:
        """The value of the session's cookie."""
        return self.token


@dataclass(slots=True)
class Opened:
    """What a cookie turned out to stand for.

    Attributes:
        loaded: The live session, or None: there is none.
        data: Its data.
        read_only: Nothing of this request is kept, and no cookie is sent: the id was superseded, or the store is down.
        deliver: The session was reached by an alias, so the new token must be sent again.
    """

    loaded: Loaded | None = None
    data: dict[Any, Any] = field(default_factory=dict)
    read_only: bool = False
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a session at the end of its request.

    Attributes:
        result: ``saved``, ``merged``, ``unchanged`` or ``gone``.
        cookie: ``send``: the browser needs the session's token; ``keep``: it has it; ``delete``: this request ended
            the session; ``none``: say nothing, for what the browser has may be newer.
    """

    result: SaveResult
    cookie: Literal["send", "keep", "delete", "none"]
