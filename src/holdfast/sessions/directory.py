"""The interfaces of a manager besides `holdfast.sessions.requests.Requests`, each only if it is supported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from holdfast.errors import ConfigurationError
from holdfast.events import RevokeResult
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.flows.walk import RevokeProgress, SessionPage
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import SessionState
from holdfast.stores.contract import Store

if TYPE_CHECKING:
    from holdfast.sessions.flows.stats import SessionStats
    from holdfast.sessions.flows.update import Change


@runtime_checkable
class SingleUse(Protocol):
    """Pops values for exactly one of several requests: for sessions in a store."""

    def pop_stored(self, state: SessionState, key: str) -> bool:
        """Remove *key* from the stored session at once, and return whether this request removed it."""

    def consume_authentication(self, state: SessionState) -> bool:
        """Consume the user's authentication, and return whether this request is the first to do so."""


@runtime_checkable
class Ends(Protocol):
    """Ends sessions everywhere. *store* holds the ends."""

    store: Store

    def revoke(self, handle: str) -> RevokeResult:
        """End the session with *handle*, also against concurrent requests.

        Returns ``confirmed``; ``unconfirmed`` if the loss of a server might bring the session back; or ``absent`` if
        there is none in this application.

        Raises:
            UnknownKey: No key opens it: it may be another application's.
        """

    def revoke_all(self, user_id: object, *, keep: str | None = None, state: SessionState | None = None) -> int:
        """End every session of *user_id* that began before now, except the one with the handle *keep*.

        It is effective against concurrent saves, rotations and logins. A login by the request with *state*, before or
        after the call, is not among them, unless an earlier cut-off covers that request; nor does *keep* count then.
        Returns how many were ended.

        Raises:
            ConfigurationError: The store has no index by owner.
        """

    def revoke_owner(self, owner: str, *, keep: str | None = None, state: SessionState | None = None) -> int:
        """End sessions as `revoke_all` does, by the value of `SessionInfo.owner`. Return the number ended."""

    def ended_since(self, moment: int, *owners: str) -> bool:
        """Return whether all sessions of one of *owners*, or of everyone, were ended at *moment* or later."""


@runtime_checkable
class Directory(Ends, Protocol):
    """Lists, counts and ends sessions: for sessions in a store, if the store has an index or a scan."""

    def of(self, user_id: object, *, current: str | None = None, limit: int | None = None) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the most recently used first; *current* is marked.

        With *limit* it returns at most so many, *current* among them, and reads no others: which, the store decides.

        Raises:
            ConfigurationError: The store has no index by owner.
        """

    def of_owner(self, owner: str, *, current: str | None = None, limit: int | None = None) -> list[SessionInfo]:
        """Return the same as `of`, by the owner value, as in `SessionInfo.owner`."""

    def get(self, handle: str, *, current: str | None = None) -> SessionInfo | None:
        """Return the live session with *handle*, or None; *current* is marked."""

    def update(self, handle: str, change: Change) -> bool:
        """Apply *change* to the data of the session with *handle*. Return whether there is such a session."""

    def scan(self, after: str | None = None, *, limit: int = 100, current: str | None = None) -> SessionPage:
        """Return about *limit* of all live sessions, and the next *after*: None at the end.

        One store call. A session that lives throughout the walk is returned at least once.

        Raises:
            ConfigurationError: The store cannot list its records.
        """

    def count(self) -> int:
        """Return the number of live sessions. It reads every record.

        Raises:
            ConfigurationError: The store cannot list its records.
        """

    def stats(self, *, enough: Callable[[int], bool] | None = None) -> tuple[SessionStats, bool]:
        """Count live sessions by user, device and age until all are counted, or *enough*; return whether all are.

        *enough* is called after each store call, with the number counted so far.

        Raises:
            ConfigurationError: The store cannot list its records.
        """

    def revoke_everyone(self, *, progress: Callable[[int], object] | None = None) -> int:
        """End every session of every user that was stored before now, and return how many were ended.

        Sealed sessions that no key opens may be another application's: they are left.

        It is effective against concurrent saves and rotations. A concurrent login may survive, as if it had come just
        after; and a login during the call may be ended. *progress* is called with the number ended so far.

        Raises:
            ConfigurationError: The store cannot list its records.
        """

    def revoke_some(
        self, progress: RevokeProgress | None = None, *, keep: str | None = None, limit: int = 100
    ) -> RevokeProgress:
        """End about *limit* sessions of all users, except *keep*. Return the progress, to repeat with until ``over``.

        Raises:
            ConfigurationError: The store cannot list its records.
        """

    def purge(self) -> int:
        """Remove every expired record from a store that does not do so by itself; return how many."""


def single_use(manager: Requests, what: str) -> SingleUse:
    """Return *manager*, which *what* needs for single-use values.

    Raises:
        ConfigurationError: Its sessions are in the cookie.
    """
    if isinstance(manager, SingleUse):
        return manager
    raise ConfigurationError(f"{what} needs sessions that are kept in a store, and they live in the browsers' cookies")


def ends(manager: Requests) -> Ends:
    """Return *manager*, which must be able to end sessions.

    Raises:
        ConfigurationError: Its sessions are in the cookie, without a store for revocations.
    """
    if isinstance(manager, Ends):
        return manager
    raise ConfigurationError(
        "sessions live in the browsers' cookies, and without a store for revocations nothing can revoke them"
    )


def directory(manager: Requests) -> Directory:
    """Return *manager*, which must be able to list sessions.

    Raises:
        ConfigurationError: Its sessions are in the cookie.
    """
    if isinstance(manager, Directory):
        return manager
    raise ConfigurationError("sessions live in the browsers' cookies and cannot be listed: keep them in a store")
