"""The manager of sessions that a store keeps: it serves requests, and lists, counts and ends sessions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.events import RevokeResult
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Unsealed
from holdfast.records.tokens import Keys, is_key
from holdfast.sessions.ends import Ends
from holdfast.sessions.flows import in_store, walk
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import purge
from holdfast.sessions.flows.listing import SessionInfo, find, list_of
from holdfast.sessions.flows.pop import consume_authentication, pop_stored
from holdfast.sessions.flows.revoke import RevokedCount, revoke, revoke_all
from holdfast.sessions.requests import Options, Requests
from holdfast.sessions.state import SessionState
from holdfast.stores.contract import Indexes, Iterates, Purges, Store

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from holdfast.sessions.flows.stats import SessionStats
    from holdfast.sessions.flows.take_over import TakenOver
    from holdfast.sessions.flows.update import Change

#: More records than a store has.
_ALL = 2**31 - 1


class Manager(Ends):
    """Opens, commits, lists and ends the sessions that one application keeps in *store*.

    `Ends` documents the methods that end a user's.

    Args:
        store: The store of the records. The caller closes it.
        sealer: Seals the records. Default: they are stored as they are.
        options: See `holdfast.sessions.requests.Options`.

    Raises:
        ConfigurationError: In a method about all sessions, if the store cannot list its records; in one about those of
            a user, if it has no index by owner.
        ValueError: In a method with a *limit*, if that is no whole number, or less than 1.
    """

    def __init__(self, store: Store, *, sealer: Sealer | Unsealed | None = None, **options: Unpack[Options]) -> None:
        super().__init__(in_store, store, sealer=sealer, **options)
        if options.get("old_place") is not None:
            from holdfast.sessions.flows.take_over import find as find_or_take_over

            self._find = find_or_take_over
        self.store = store

    def for_headers(self, keys: Keys) -> Manager:
        """Return a manager of the sessions whose tokens are in headers, with *keys*. It takes over no old ones."""
        other = copy.copy(self)
        other.keys, other.context = keys, replace(self.context, keys=keys, transport="header", old_place=None)
        return other

    def take_over(self, old_id: str, *, dry_run: bool = False) -> TakenOver:
        """Take over the session of *old_id* from the place where it was, before its first request, unless *dry_run*.

        Returns what became of it: ``"now"``, ``"before"``, ``"left"``, ``"ended"`` or ``"unreadable"``.
        """
        from holdfast.sessions.flows.take_over import take_over_unused

        return self._run(take_over_unused(self.context, old_id, dry_run=dry_run))

    def pop_stored(self, state: SessionState, key: str) -> bool:
        """Remove *key* from the stored session at once, and return whether this request removed it."""
        return self._run(pop_stored(self.context, state, key))

    def consume_authentication(self, state: SessionState) -> bool:
        """Consume the user's authentication, and return whether this request is the first to do so."""
        return self._run(consume_authentication(self.context, state))

    def of(self, user_id: object, *, current: str | None = None, limit: int | None = None) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the most recently used first; *current* is marked.

        With *limit* it returns at most so many, *current* among them, and reads no others: which, the store decides.
        """
        return self.of_owner(self.keys.owner_of(user_id), current=current, limit=limit)

    def of_owner(self, owner: str, *, current: str | None = None, limit: int | None = None) -> list[SessionInfo]:
        """Return the same as `of`, by the owner value, as in `SessionInfo.owner`."""
        most = None if limit is None else _whole(limit)
        return self._run(list_of(self._indexed(), owner, current=current, limit=most))

    def get(self, handle: str, *, current: str | None = None) -> SessionInfo | None:
        """Return the live session with *handle*, or None; *current* is marked."""
        return self._run(find(self.context, handle, current=current)) if is_key(handle) else None

    def scan(self, after: str | None = None, *, limit: int = 100, current: str | None = None) -> walk.SessionPage:
        """Return about *limit* of all live sessions, and the next *after*: None at the end.

        One store call. A session that lives throughout the walk is returned at least once, unless its token changes
        meanwhile. An *after* at which no page ends is a ValueError.
        """
        return self._run(walk.page_of(self._iterated(), after, _whole(limit), current=current))

    def count(self) -> int:
        """Return the number of live sessions. It reads every record."""
        return self._run(walk.count(self._iterated()))

    def stats(self, *, enough: Callable[[int], bool] | None = None) -> tuple[SessionStats, bool]:
        """Count live sessions by user, device and age until all are counted, or *enough*; return whether all are.

        *enough* is called after each store call, with the number counted so far.
        """
        from holdfast.sessions.flows.stats import stats

        return self._run(stats(self._iterated(), enough=enough))

    def update(self, handle: str, change: Change) -> bool:
        """Apply *change* to the data of the session with *handle*. Return whether there is such a session."""
        from holdfast.sessions.flows.update import update

        return is_key(handle) and self._run(update(self.context, handle, change))

    def revoke(self, handle: str) -> RevokeResult:
        return self._run(revoke(self.context, handle)) if is_key(handle) else "absent"

    def revoke_owner(self, owner: str, *, keep: str | None = None, state: SessionState | None = None) -> RevokedCount:
        return self._run(revoke_all(self._indexed(), owner, keep=keep, state=state))

    def revoke_everyone(self, *, progress: Callable[[int], object] | None = None) -> int:
        """End every session of every user that was stored before now, and return how many were ended.

        Sealed sessions that no key opens may be another application's: they are left.

        It is effective against concurrent saves and rotations. A concurrent login may survive, as if it had come just
        after; and a login during the call may be ended. *progress* is called with the number ended so far.
        """
        return self._run(walk.revoke_everyone(self._iterated(), progress=progress))

    def revoke_some(
        self, progress: walk.RevokeProgress | None = None, *, keep: str | None = None, limit: int = 100
    ) -> walk.RevokeProgress:
        """End about *limit* sessions of all users, except *keep*; return the progress, to repeat until ``over``."""
        progress = progress or walk.RevokeProgress(self.clock())
        return self._run(walk.revoke_some(self._iterated(), progress, keep=keep, stride=_whole(limit)))

    def purge(self) -> int:
        """Remove every expired record from a store that does not do so by itself; return how many."""
        return self._run(purge(self.context, _ALL)) if isinstance(self.store, Purges) else 0

    def _iterated(self) -> Context:
        return self._with(Iterates, "cannot list what it holds: use a store that can")

    def _indexed(self) -> Context:
        return self._with(
            Indexes, "keeps no index by owner, so a user's sessions cannot be found: use a store that has one"
        )

    def _with(self, capability: type, problem: str) -> Context:
        if capability not in self.context.capabilities:
            raise ConfigurationError(f"{type(self.store).__name__} {problem}")
        return self.context


def _whole(limit: int) -> int:
    """Return *limit*, which must be a whole number above 0, as a number that every store can take."""
    if type(limit) is not int or limit < 1:
        raise ValueError(f"limit is {limit!r}: it must be a whole number, 1 or more")
    return min(limit, _ALL)


def directory(manager: Requests, lack: str = "cannot be listed") -> Manager:
    """Return *manager*, which must keep its sessions in a store; *lack* is what sessions in the cookie lack."""
    if isinstance(manager, Manager):
        return manager
    raise ConfigurationError(f"sessions live in the browsers' cookies and {lack}: keep them in a store")
