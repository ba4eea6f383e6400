"""A request's lookup of its session as one flow, for tests that drive flows by themselves."""

from __future__ import annotations

from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.open import find, settle
from holdfast.sessions.ops import Flow
from holdfast.sessions.state import SessionState


def open_session(context: Context, state: SessionState, token: str) -> Flow[None]:
    """Fill *state* with the session of *token*, or report why there is none."""
    settle(context, state, (yield from find(context, state, token)))
