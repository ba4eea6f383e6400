"""How a client carries the token of its session: in a cookie (`Cookies`) or in a header (`Bearer`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from holdfast.events import RejectReason

if TYPE_CHECKING:
    from flask import Flask, Request, Response

    from holdfast.sessions.requests import Requests
    from holdfast.sessions.state import SessionState


class Presented(NamedTuple):
    """The token that a request presents for its session.

    Attributes:
        token: A value that can be this application's, without its signature; or None.
        reason: The reason why it is rejected, or None.
        stale: The cookie should be sent again: its signature is by a fallback key, or its name is an old one.
        others: The other different values that can be.
        final: The client sent it on purpose: if it is rejected, the request gets no session in its place.
    """

    token: str | None = None
    reason: RejectReason | None = None
    stale: bool = False
    others: tuple[str, ...] = ()
    final: bool = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reason or ('a token' if self.token else 'nothing')}>"


NOTHING = Presented()


class Carrier(Protocol):
    """Reads the tokens of requests, and gives responses new ones.

    Attributes:
        manager: The manager of the sessions whose tokens it carries.
        varies: The headers of a request that its session depends on.
    """

    manager: Requests
    varies: tuple[str, ...]

    def read(self, app: Flask, request: Request) -> Presented:
        """Return what *request* presents."""

    def token_in(self, app: Flask, value: str) -> str | None:
        """Return the token in *value*, a whole one as clients send it, or None."""

    def send(self, app: Flask, request: Request, response: Response, token: str, *, lifetime: int | None) -> None:
        """Give the client *token*, for *lifetime* seconds if it is a browser: until it closes if that is None."""

    def delete(self, request: Request, response: Response) -> None:
        """Let the client forget its token."""

    def challenge(self, request: Request, response: Response, state: SessionState) -> None:
        """Add to *response*, a 401, what the client lacks."""

    def admit_remembered(self, app: Flask, request: Request, state: SessionState) -> None:
        """Let Flask-Login use a remember-me cookie only where it may, after the lookup.

        Raises:
            StoreUnavailable: The store failed: it is not known.
        """

    def mark_remembered(self, app: Flask, request: Request, response: Response, state: SessionState) -> None:
        """Note in *state* and *response*, before the save, what belongs to a remember-me cookie."""

    def keep_remembered(self, app: Flask, request: Request, response: Response, state: SessionState) -> None:
        """Let a remember-me cookie outlive the end of its user's other sessions, which the request asked for."""
