"""The session in a view: beyond the mapping, what is known of a session, and what its store decides at once.

Its public names are only those that a view needs, since a template looks up attributes before keys.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from holdfast.clock import SECOND
from holdfast.records import metadata
from holdfast.sessions.ends import ends
from holdfast.sessions.manager import directory
from holdfast.sessions.mapping import MISSING, SessionMapping
from holdfast.sessions.policy import SKEW

if TYPE_CHECKING:
    from holdfast.sessions.flows.revoke import RevokedCount
    from holdfast.sessions.state import SessionState


class ServerSession(SessionMapping):
    """A session. It is loaded on first use."""

    # --- what the store decides at once ------------------------------------------------------------------------------

    def revoke_others(self) -> RevokedCount:
        """End every other session of this session's user, and rotate this one: for a changed password.

        Store the new password first. It is effective against concurrent saves, rotations and logins, like
        ``sessions.revoke_all``. Returns how many were ended.

        Raises:
            ValueError: The session is not bound to a user.
            ConfigurationError: The store has no index by owner.
        """
        state = self._open()
        if state.owner is None:
            raise ValueError("revoke_others() needs a session that is bound to a user: call bind() first")
        ended = ends(self._manager).revoke_owner(state.owner, keep=state.handle, state=state)
        self.rotate()
        return ended

    def still_valid(self) -> bool:
        """Return whether the loaded session is still live and bound to the same user.

        For handlers that outlast a request. It writes nothing, and the session's data stay as they were loaded. False
        if the request came without a session.

        Raises:
            StoreUnavailable: The store failed, so this is unknown.
        """
        return self._manager.still_valid(self._open())

    def pop_once(self, key: str, default: Any = MISSING) -> Any:
        """Remove *key* and return its value, to exactly one of all concurrent requests.

        For values that may be used once: a one-time code, a token in a link. It is removed from the stored session at
        once, and stays removed even if this request fails later. For the other requests it is missing, and they get
        *default*. This request's other changes are saved at its end as usual.

        Raises:
            KeyError: The key is missing, and no *default* is given.
        """
        self._end_if_late(key)
        state = self._state
        unsaved = state.stored is None or state.changes.wiped or key in state.changes.assigned
        won = key in state.data
        if not unsaved:
            won = directory(self._manager, "have no session.pop_once()").pop_stored(state, key)
        value = state.data[key] if won else default  # the data include the changes of others
        if key in state.data:
            self._put(state, key, MISSING)
            state.exposed = state.pending = True
            state.changes.applied.pop(key, None)
        if value is MISSING:
            raise KeyError(key)
        return value

    def fresh_once(self, seconds: float) -> bool:
        """Return whether the user authenticated at most *seconds* ago, to one request only for each authentication.

        The store decides at once: of several requests at the same moment, exactly one gets True.
        """
        if not self.fresh_for(seconds):
            return False
        changes = self._state.changes
        if not changes.rebind:
            manager = directory(self._manager, "have no session.fresh_once(), nor require_fresh(0) with it")
            return manager.consume_authentication(self._state)
        unused, changes.consumed = not changes.consumed, True
        return unused

    # --- what is known of it -----------------------------------------------------------------------------------------

    @property
    def authenticated_at(self) -> int | None:
        """When the user authenticated, in milliseconds since the epoch; None without a user, or for a remembered one.

        `bind` is an authentication, and so are Flask-Login's ``login_user`` and ``confirm_login``.
        """
        return self._open().authenticated_at

    def fresh_for(self, seconds: float) -> bool:
        """Return whether the user authenticated at most *seconds* before this request."""
        at, started_at = self.authenticated_at, self._state.started_at
        return at is not None and at - SKEW <= started_at <= at + seconds * SECOND

    @property
    def label(self) -> str | None:
        """The application's own name for the session, such as "Work laptop", or None. Set it to None to remove it.

        Setting it raises TypeError for a value that is not text, and ValueError for more than 100 characters or for
        control characters. It is stored with the session; an empty session is not stored because of it.
        """
        return self._open().meta(metadata.LABEL)

    @label.setter
    def label(self, text: str | None) -> None:
        self._change().changes.meta[metadata.LABEL] = metadata.label_from(text)

    @property
    def lifetime(self) -> timedelta:
        """How long the session lives without being used: its own idle timeout, or the policy's.

        Set it to a `timedelta`, or to seconds, for a session that is to live longer or shorter than others: "remember
        me for 30 days, else for 30 minutes". None means the policy's again, as does the next login. The absolute
        timeout ends the session in any case. A permanent session's cookie lives as long.

        Setting it raises TypeError for another type, and ValueError unless it is at least a millisecond.
        """
        policy, state = self._manager.context.policy, self._open()
        own = state.meta(metadata.LIFETIME)
        return timedelta(milliseconds=policy.idle_of({} if own is None else {metadata.LIFETIME: own}))

    @lifetime.setter
    def lifetime(self, value: timedelta | float | None) -> None:
        self._change().changes.meta[metadata.LIFETIME] = metadata.lifetime_from(value)

    @property
    def owner(self) -> str | None:
        """The owner value of the user that the session is, or will be, bound to, or None."""
        return self._open().owner

    @property
    def handle(self) -> str | None:
        """The session's public name, for device lists and logs, or None if it is not stored. It is not a token."""
        return self._open().handle

    @property
    def sid(self) -> str:
        """The session's public id, for audit logs: 22 characters, which say nothing about its token.

        It stays the same from a login, or the session's start, to its end, through every rotation. That of a session
        that is not stored yet is kept if the session is.
        """
        return self._open().sid

    @property
    def created_at(self) -> int | None:
        """The start of the session, or of the login it belongs to: milliseconds since the epoch, None if not stored."""
        stored = self._open().stored
        return stored.envelope.created_at if stored else None

    @property
    def read_only(self) -> bool:
        """Whether this request's changes are dropped: its id was superseded, or the store is down."""
        return self._open().read_only

    @property
    def background(self) -> bool:
        """Set it to True in a request without user activity, such as a page's poll.

        Unless it changes the session, it does not count as use: the idle timeout is not extended, and no token is
        renewed.
        """
        return self._state.background

    @background.setter
    def background(self, value: bool) -> None:
        self._state.background = value


def state_of(session: ServerSession) -> SessionState:
    """Return the state behind *session*."""
    return session._state  # noqa: SLF001  # its public names are for views
