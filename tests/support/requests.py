"""A request without a front end: its session, over a manager."""

from __future__ import annotations

from holdfast.sessions.requests import Requests
from holdfast.sessions.server_session import ServerSession, state_of
from holdfast.sessions.state import Outcome, SessionState


class Request(ServerSession):
    """The session of a request that presents *token*.

    Attributes:
        state: The state of the request.
    """

    def __init__(self, manager: Requests, token: str | None = None, *, state: SessionState | None = None) -> None:
        self.state = state or SessionState(manager.clock())
        super().__init__(manager, self.state, lambda state: manager.open(state, token))

    def commit(self) -> Outcome:
        """End the request."""
        return self._manager.commit(self.state)

    @property
    def token(self) -> str:
        """The token that opens what is stored."""
        assert self.state.stored is not None
        return self.state.stored.token


def set_metadata(session: ServerSession, name: str, value: str) -> None:
    """Store *value* as the metadata *name* of the session at the end of its request."""
    session.label = session.label
    state_of(session).changes.meta[name] = value
