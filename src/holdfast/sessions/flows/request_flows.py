"""The flows of a request, for each way to keep sessions: in a store, or in the cookie."""

from __future__ import annotations

from typing import Any, Protocol

from holdfast.events import EndReason
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.open import Found, Rejected
from holdfast.sessions.ops import Flow
from holdfast.sessions.state import Outcome, SessionState


class RequestFlows(Protocol):
    """How sessions are kept: what a request does to one, as flows."""

    def has_form(self, value: str, /) -> bool:
        """Return whether *value* has the form of a cookie's value."""

    def find(self, context: Context, state: SessionState, value: str, /) -> Flow[Found | Rejected]:
        """Return the live session of a cookie's *value*. *state* gets its key, live or not."""

    def create(self, context: Context, state: SessionState, /) -> Flow[Outcome]:
        """Make a session of *state*."""

    def join(self, context: Context, state: SessionState, browser: str, /) -> Flow[Outcome | None]:
        """Let a remembered login join the session that another request of the same *browser* has begun."""

    def confirm_renewal(self, context: Context, key: str, stored: Any, /) -> Flow[bool]:
        """Let the token of *key*, which that of *stored* replaced, be valid for the grace period only.

        Return False if the session is over.
        """

    def log_out(self, context: Context, state: SessionState, stored: Any, /) -> Flow[Outcome]:
        """End the session, for the user who asked for it."""

    def end_presented(
        self, context: Context, key: str, reason: EndReason, successor: str | None = None, /
    ) -> Flow[bool]:
        """End the session that the token of *key* leads to, though it was not opened; return whether it was live.

        *successor* is the key of the login that replaces it.
        """

    def rotate(
        self, context: Context, state: SessionState, stored: Any, /, *, renewal: bool, ends: bool
    ) -> Flow[Outcome]:
        """Give the session a new token, with the changes of *state*.

        *renewal*: the request does not ask for it. *ends*: it ends the session, and another begins in its place.
        """

    def save(self, context: Context, state: SessionState, stored: Any, /) -> Flow[Outcome]:
        """Write what *state* changed, if anything, and what is due."""

    def still_valid(self, context: Context, session: SessionState | str, /) -> Flow[bool]:
        """Return whether the session of a state, or of a cookie's value, lives. Nothing is written."""
