"""The managers that can end sessions everywhere."""

from __future__ import annotations

from abc import ABC, abstractmethod

from holdfast.errors import ConfigurationError
from holdfast.events import RevokeResult
from holdfast.records.tokens import is_key
from holdfast.sessions.flows.finish import ended_since
from holdfast.sessions.flows.revoke import RevokedCount
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import SessionState
from holdfast.stores.contract import Store


class Ends(Requests, ABC):
    """Ends sessions everywhere. *store* holds the ends."""

    store: Store

    @abstractmethod
    def revoke(self, handle: str) -> RevokeResult:
        """End the session with *handle*, also against concurrent requests.

        Returns ``confirmed``; ``unconfirmed`` if the loss of a server might bring the session back; or ``absent`` if
        there is none in this application.

        Raises:
            UnknownKey: No key opens it: it may be another application's.
        """

    def revoke_all(
        self, user_id: object, *, keep: str | None = None, state: SessionState | None = None
    ) -> RevokedCount:
        """End every session of *user_id* that began before now, except the one with the handle *keep*.

        It is effective against concurrent saves, rotations and logins. A login by the request with *state*, before or
        after the call, is not among them, unless an earlier cut-off covers that request; nor does *keep* count then.
        Returns how many were ended.

        Raises:
            ConfigurationError: The store has no index by owner.
            ValueError: *keep* is no handle. Nothing was ended.
        """
        if keep is not None and not is_key(keep):
            raise ValueError("keep is no handle: it must be 64 hex digits, as session.handle, and not a session's sid")
        return self.revoke_owner(self.keys.owner_of(user_id), keep=keep, state=state)

    @abstractmethod
    def revoke_owner(self, owner: str, *, keep: str | None = None, state: SessionState | None = None) -> RevokedCount:
        """End sessions as `revoke_all` does, by the value of `SessionInfo.owner`. Return the number ended."""

    def ended_since(self, moment: int, *owners: str) -> bool:
        """Return whether all sessions of one of *owners*, or of everyone, were ended at *moment* or later."""
        return self._run(ended_since(self.context, moment, *owners))


def ends(manager: Requests) -> Ends:
    """Return *manager*, which must be able to end sessions: those in the cookie need a store for revocations."""
    if isinstance(manager, Ends):
        return manager
    raise ConfigurationError(
        "sessions live in the browsers' cookies, and without a store for revocations nothing can revoke them: set"
        " SESSION_REVOCATION_STORE"
    )
