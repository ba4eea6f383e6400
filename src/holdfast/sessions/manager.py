"""The sessions of one application, run synchronously on one store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.events import Events, RejectionLog, RevokeResult
from holdfast.metrics.observer import Observer, Observers, gather
from holdfast.records.codec import MSGPACK, Codec
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Unsealed
from holdfast.records.tokens import Keys, is_token
from holdfast.sessions.flows.check import live_token
from holdfast.sessions.flows.commit import NO_METADATA, commit
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import revoke, revoke_all
from holdfast.sessions.flows.listing import SessionInfo, find, list_of
from holdfast.sessions.flows.open import open_session
from holdfast.sessions.flows.pop import consume_authentication, pop_stored
from holdfast.sessions.flows.stats import SessionStats
from holdfast.sessions.flows.walk import (
    RevokeProgress,
    SessionPage,
    count,
    page_of,
    revoke_everyone,
    revoke_some,
    stats,
)
from holdfast.sessions.ops import Call, Flow, drive, purge
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import CookieAction, Outcome, SessionState
from holdfast.stores.contract import Indexes, Iterates, Purges, Store, capabilities_of

T = TypeVar("T")

#: Where expired records must be removed by us, every so many new tokens at most so many are: more go than come.
_PURGE_EVERY, _PURGED = 100, 200

_UNCHANGED = Outcome("unchanged", CookieAction.NONE)


class Manager:
    """Opens, saves, finds and ends the sessions that one application keeps in *store*.

    Args:
        store: Where the records are. Whoever made it closes it.
        policy: What holds for the sessions. A function is asked at each use.
        keys: The namespace. Default: ``session:``.
        codec: SealMode payloads are encoded from now on. Stored ones are read by what they say they are.
        clock: The time.
        sealer: Seals the records. Default: they are stored as they are.
        sender: Who the signals come from, or a weak reference to it. Default: the manager.
        observer: Who counts and times what happens: one or several. Default: nobody, at no cost.

    Attributes:
        revokes: Whether a session can be ended for everyone.
        lists: Whether sessions are where they can be listed and counted, as far as the store can.
    """

    revokes = True
    lists = True

    def __init__(
        self,
        store: Store,
        *,
        policy: Policy | Callable[[], Policy] | None = None,
        keys: Keys | None = None,
        codec: Codec = MSGPACK,
        clock: Clock = system_clock,
        sealer: Sealer | Unsealed | None = None,
        sender: object = None,
        observer: Observer | Observers | Iterable[Observer] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.keys = keys or Keys("session:")
        self._issued = 0
        self._observers = gather(observer)
        self._policy = policy if callable(policy) else None
        self._context = Context(
            policy=policy if isinstance(policy, Policy) else Policy(),
            keys=self.keys,
            codec=codec,
            clock=clock,
            sealer=sealer or Unsealed(),
            events=self._stream(self if sender is None else sender),
            capabilities=capabilities_of(store),
        )

    @property
    def context(self) -> Context:
        """What the flows work with, under the policy of this moment."""
        if self._policy is not None:
            policy = self._policy()
            if policy is not self._context.policy:
                self._context = replace(self._context, policy=policy)
        return self._context

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who counts and times what happens."""
        return self._observers.members if self._observers is not None else ()

    def _stream(self, sender: object) -> Events:
        stream = Events(sender)
        stream.subscribe(RejectionLog(self.clock), "rejected")
        if self._observers is not None:
            stream.subscribe(self._observers.count)
        return stream

    def _run(self, flow: Flow[T] | Call[T]) -> T:
        observers = self._observers
        try:
            if observers is None:
                return drive(flow, self.store)
            return drive(flow, self.store, observers.timed, timer=observers.timer)
        except StoreUnavailable as error:
            self._context.emit("store_unavailable", error=error)
            raise

    def open(self, state: SessionState, token: str | None) -> None:
        """Fill *state* with what *token* stands for; None and anything that is not a token stand for nothing.

        Raises:
            StoreUnavailable: The store failed, and the policy is not to go on without it.
        """
        context = self.context
        context.emit("opens")
        state.opened = state.read_only = True
        if token is not None and is_token(token):
            try:
                self._run(open_session(context, state, token))
            except StoreUnavailable:
                context.emit("rejected", reason="store_unavailable")
                if context.policy.on_store_error != "anonymous":
                    raise
            return
        if token is not None:
            context.emit("rejected", reason="malformed")
        state.read_only = False

    def commit(
        self,
        state: SessionState,
        *,
        refresh: bool = False,
        login_metadata: Mapping[str, str | None] = NO_METADATA,
        can_set_cookie: bool = True,
    ) -> Outcome:
        """Carry out what the request asked of its session: see `holdfast.sessions.flows.commit.commit`."""
        if not (state.pending or refresh):
            self._context.emit("saves", outcome=_UNCHANGED.result)
            return _UNCHANGED
        flow = commit(
            self.context, state, refresh=refresh, login_metadata=login_metadata, can_set_cookie=can_set_cookie
        )
        outcome = self._run(flow)
        if outcome.cookie is CookieAction.SEND:
            self._issued += 1
            if self._issued % _PURGE_EVERY == 0 and isinstance(self.store, Purges):
                self._purge_some()
        return outcome

    def pop_stored(self, state: SessionState, key: str) -> bool:
        """Remove *key* from the stored session at once: see `holdfast.sessions.flows.pop.pop_stored`."""
        return self._run(pop_stored(self.context, state, key))

    def consume_authentication(self, state: SessionState) -> bool:
        """Make use of the user's authentication: see `holdfast.sessions.flows.pop.consume_authentication`."""
        return self._run(consume_authentication(self.context, state))

    def of(self, user_id: object, *, current: str | None = None) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the last used first.

        It takes one call for the index and one for each session. The one with the handle *current* is marked.

        Raises:
            ConfigurationError: The store keeps no index by owner.
        """
        return self.of_owner(self.keys.owner_of(user_id), current=current)

    def of_owner(self, owner: str, *, current: str | None = None) -> list[SessionInfo]:
        """Return what `of` does, by the owner value, as `session.owner` and `SessionInfo` have it."""
        return self._run(list_of(self._indexed(), owner, current=current))

    def get(self, handle: str, *, current: str | None = None) -> SessionInfo | None:
        """Return what may be shown of the live session with *handle*, or None. It is marked if it is *current*."""
        return self._run(find(self.context, handle, current=current)) if _is_handle(handle) else None

    def scan(self, after: str | None = None, *, limit: int = 100, current: str | None = None) -> SessionPage:
        """Return about *limit* of all live sessions, and where to go on, which is the next *after*.

        It takes one store call. A session that lives through the whole walk is shown at least once.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """
        return self._run(page_of(self._iterated(), after, limit, current=current))

    def count(self) -> int:
        """Return how many live sessions there are. Every record is read, so it takes as long as there are many.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """
        return self._run(count(self._iterated()))

    def stats(self, *, enough: Callable[[int], bool] = lambda counted: False) -> tuple[SessionStats, bool]:  # noqa: ARG005
        """Count live sessions by user, device and age until all are counted, or *enough*; return whether all are.

        *enough* is asked after each store call, with how many were counted so far.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """
        return self._run(stats(self._iterated(), enough=enough))

    def revoke(self, handle: str) -> RevokeResult:
        """End the session with *handle*, whatever requests are in flight.

        Returns ``confirmed``; ``unconfirmed`` when the store cannot tell that the loss of a server would not bring the
        session back; or ``absent`` when there is none.
        """
        return self._run(revoke(self.context, handle)) if _is_handle(handle) else "absent"

    def revoke_all(self, user_id: object, *, keep: str | None = None) -> int:
        """End every session of *user_id* that began before now, except the one with the handle *keep*.

        Holds against saves, rotations and logins in flight. Returns how many were ended.

        Raises:
            ConfigurationError: The store keeps no index by owner.
        """
        return self._end_all(self.keys.owner_of(user_id), keep)

    def revoke_others(self, state: SessionState) -> int:
        """End every other session of the user of this one, as `revoke_all` does.

        Raises:
            ConfigurationError: The store keeps no index by owner.
        """
        ended = self._end_all(state.owner or "", state.handle)
        state.started_at = self.clock() + 1  # a login by this very request begins after what was just ended
        return ended

    def _end_all(self, owner: str, keep: str | None) -> int:
        return self._run(revoke_all(self._indexed(), owner, keep=keep))

    def revoke_everyone(self, *, progress: Callable[[int], object] | None = None) -> int:
        """End every session of every user that was stored before now, and return how many were ended.

        Holds against saves and rotations in flight. A login in flight may stand, as if it had come just after; and one
        that comes while this is at work may be ended. *progress* is told now and then how many were ended so far.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """
        return self._run(revoke_everyone(self._iterated(), progress=progress))

    def revoke_some(
        self, progress: RevokeProgress | None = None, *, keep: str | None = None, limit: int = 100
    ) -> RevokeProgress:
        """End about *limit* sessions of everyone's, and return what to go on with until it is ``over``.

        It is `revoke_everyone` in steps, for those who have not the time to do it at once. The session with the handle
        *keep* is left alone.

        Raises:
            ConfigurationError: The store cannot be walked over.
        """
        context = self._iterated()
        return self._run(revoke_some(context, progress or RevokeProgress(self.clock()), keep=keep, stride=limit))

    def still_valid(self, session: SessionState | str) -> bool:
        """Return whether a session, or that of a token, still lives and is its user's. Nothing is written or touched.

        A state is asked for as it was stored. After a renewal it is followed, for as long as it is asked about
        once within each grace period; a token that a renewal replaced is good for the grace period alone.

        Raises:
            StoreUnavailable: The store failed: it is not known.
        """
        if isinstance(session, str):
            return is_token(session) and self._run(live_token(self.context, session)) is not None
        if session.stored is None:
            return False
        stored = session.stored.token
        renewed = session.renewed_to
        known = renewed[1] if renewed is not None and renewed[0] == stored else stored
        token = self._run(live_token(self.context, known))
        if token is not None:
            session.renewed_to = (stored, token)
        return token is not None

    def purge(self, *, batch: int = 1000) -> int:
        """Remove every expired record from a store that does not do so by itself; return how many."""
        removed = 0
        while isinstance(self.store, Purges):
            count = self._run(purge(self.clock(), batch))
            removed += count
            if count < batch:
                break
        return removed

    def _purge_some(self) -> None:
        # The session that was just saved is none the worse for a store that fails now.
        with suppress(StoreUnavailable):
            self._run(purge(self.clock(), _PURGED))

    def _iterated(self) -> Context:
        if not isinstance(self.store, Iterates):
            kind = type(self.store).__name__
            raise ConfigurationError(f"{kind} cannot list what it holds: use a store that can be walked over")
        return self.context

    def _indexed(self) -> Context:
        if not self._context.store_can(Indexes):
            kind = type(self.store).__name__
            raise ConfigurationError(
                f"{kind} keeps no index by owner, so a user's sessions cannot be found: use a store that has one"
            )
        return self.context


def _is_handle(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")
