"""What a manager may offer besides `holdfast.sessions.requests.Requests`: each interface only where it is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from holdfast.errors import ConfigurationError
from holdfast.events import RevokeResult
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.flows.stats import SessionStats
from holdfast.sessions.flows.walk import RevokeProgress, SessionPage
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import SessionState
from holdfast.stores.contract import Store


@runtime_checkable
class SingleUse(Protocol):
    """Gives something to exactly one of several requests: for sessions in a store."""

    def pop_stored(self, state: SessionState, key: str) -> bool:
        """Remove *key* from the stored session at once, and return whether this request removed it."""

    def consume_authentication(self, state: SessionState) -> bool:
        """Consume the user's authentication, and return whether this request is the first to do so."""


@runtime_checkable
class Ends(Protocol):
    """Ends sessions everywhere. *store* is where that is stored."""

    store: Store

    def revoke(self, handle: str) -> RevokeResult:
        """End the session with *handle*, whatever requests are in flight.

        Returns ``confirmed``; ``unconfirmed`` when the store cannot confirm that the loss of a server would not bring
        the session back; or ``absent`` when there is none.
        """

    def revoke_all(self, user_id: object, *, keep: str | None = None) -> int:
        """End every session of *user_id* that began before now, except the one with the handle *keep*.

        Holds against saves, rotations and logins in flight. Returns how many were ended.

        Raises:
            ConfigurationError: The store keeps no index by owner.
        """

    def revoke_owner(self, owner: str, *, keep: str | None = None) -> int:
        """End sessions as `revoke_all` does, by the owner value, as `SessionInfo.owner` has it."""


@runtime_checkable
class Directory(Ends, Protocol):
    """Lists, counts and ends sessions: for sessions in a store, as far as the store has an index or can be walked."""

    def of(self, user_id: object, *, current: str | None = None) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the last used first; *current* is marked.

        Raises:
            ConfigurationError: The store keeps no index by owner.
        """

    def of_owner(self, owner: str, *, current: str | None = None) -> list[SessionInfo]:
        """Return what `of` does, by the owner value, as `SessionInfo.owner` has it."""

    def get(self, handle: str, *, current: str | None = None) -> SessionInfo | None:
        """Return the live session with *handle*, or None; *current* is marked."""

    def scan(self, after: str | None = None, *, limit: int = 100, current: str | None = None) -> SessionPage:
        """Return about *limit* of all live sessions, and the next *after*: None at the end.

        One store call. A session that lives through the whole walk is shown at least once.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """

    def count(self) -> int:
        """Return how many live sessions there are. Every record is read.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """

    def stats(self, *, enough: Callable[[int], bool] | None = None) -> tuple[SessionStats, bool]:
        """Count live sessions by user, device and age until all are counted, or *enough*; return whether all are.

        *enough* is called after each store call, with the number counted so far.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """

    def revoke_everyone(self, *, progress: Callable[[int], object] | None = None) -> int:
        """End every session of every user that was stored before now, and return how many were ended.

        Holds against saves and rotations in flight. A login in flight may stand, as if it had come just after; and one
        that comes while this runs may be ended. *progress* is called with the number ended so far.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """

    def revoke_some(
        self, progress: RevokeProgress | None = None, *, keep: str | None = None, limit: int = 100
    ) -> RevokeProgress:
        """End about *limit* of everyone's sessions, except *keep*; repeat with what is returned until it is ``over``.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """

    def purge(self, *, batch: int = 1000) -> int:
        """Remove every expired record from a store that does not do so by itself; return how many."""


def single_use(manager: Requests, what: str) -> SingleUse:
    """Return *manager*, which *what* needs to be able to give something to one request only.

    Raises:
        ConfigurationError: Its sessions live in the cookie.
    """
    if isinstance(manager, SingleUse):
        return manager
    raise ConfigurationError(f"{what} needs sessions that are kept in a store, and they live in the browsers' cookies")


def ends(manager: Requests) -> Ends:
    """Return *manager*, which must be able to end sessions.

    Raises:
        ConfigurationError: Its sessions live in the cookie, without a store for revocations.
    """
    if isinstance(manager, Ends):
        return manager
    raise ConfigurationError(
        "sessions live in the browsers' cookies, and without a store for revocations nothing can revoke them"
    )


def directory(manager: Requests) -> Directory:
    """Return *manager*, which must be able to list sessions.

    Raises:
        ConfigurationError: Its sessions live in the cookie.
    """
    if isinstance(manager, Directory):
        return manager
    raise ConfigurationError("sessions live in the browsers' cookies and cannot be listed: keep them in a store")
