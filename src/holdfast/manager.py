"""The sessions of one application, run synchronously on one store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from holdfast import events
from holdfast.clock import Clock, system_clock
from holdfast.codec import MSGPACK, Codec
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.flows import Context, SessionInfo, commit, find, list_of, open_session, revoke, revoke_all
from holdfast.observing import Observer, Observers, gather
from holdfast.operations import Flow, Purge, drive, step
from holdfast.policy import Policy
from holdfast.sealing import Sealer, Unsealed
from holdfast.session import Opened, Outcome, ServerSession
from holdfast.store import Confirms, Indexes, Purges, Rotates, Store
from holdfast.tokens import Keys, is_token

T = TypeVar("T")

#: Where expired records must be removed by us, every so many new tokens at most so many are: more go than come.
_SWEEP_EVERY, _SWEPT = 100, 200


class Manager:
    """Opens, saves, finds and ends the sessions that one application keeps in *store*.

    Args:
        store: Where the records are. Whoever made it closes it.
        policy: What holds for the sessions. A function is asked at each use.
        keys: The namespace. Default: that of ``SESSION_KEY_PREFIX``'s default, ``session:``.
        codec: How payloads are encoded from now on. Stored ones are read by what they say they are.
        clock: The time.
        sealer: Seals the records. Default: they are stored as they are.
        sender: Who the signals come from, or a weak reference to it. Default: the manager.
        observer: Who counts and times what happens: one or several. Default: nobody, at no cost.
    """

    def __init__(
        self,
        store: Store,
        *,
        policy: Policy | Callable[[], Policy] | None = None,
        keys: Keys | None = None,
        codec: Codec = MSGPACK,
        clock: Clock = system_clock,
        sealer: Sealer | None = None,
        sender: object = None,
        observer: Observer | Observers | Iterable[Observer] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.keys = keys or Keys("session:")
        self._issued = 0
        self._policy = policy if callable(policy) else None
        self._context = Context(
            policy=policy if isinstance(policy, Policy) else Policy(),
            keys=self.keys,
            codec=codec,
            clock=clock,
            sealer=sealer or Unsealed(),
            sender=self if sender is None else sender,
            rotates=isinstance(store, Rotates),
            indexes=isinstance(store, Indexes),
            confirms=isinstance(store, Confirms),
            observers=gather(observer),
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
        observers = self._context.observers
        return observers.members if observers is not None else ()

    def _run(self, flow: Flow[T]) -> T:
        observers = self._context.observers
        if observers is not None:
            flow = observers.watch(flow)
        try:
            return drive(flow, self.store)
        except StoreUnavailable as error:
            self._context.emit(events.store_unavailable, error=error)
            raise

    def open(self, token: str | None) -> Opened:
        """Return what *token* stands for; None and anything that is not a token stand for nothing.

        Raises:
            StoreUnavailable: The store failed, and the policy is not to go on without it.
        """
        self._context.count("opens")
        if token is None:
            return Opened()
        context = self.context
        if not is_token(token):
            context.reject("malformed")
            return Opened()
        try:
            return self._run(open_session(context, token))
        except StoreUnavailable:
            context.reject("store_unavailable")
            if context.policy.on_store_error == "anonymous":
                return Opened(read_only=True)
            raise

    def commit(self, session: ServerSession, *, confirm: bool = False) -> Outcome:
        """Carry out what the request asked of *session*: see `holdfast.flows.commit`."""
        outcome = self._run(commit(self.context, session, confirm=confirm))
        if outcome.cookie == "send":
            self._issued += 1
            if self._issued % _SWEEP_EVERY == 0 and isinstance(self.store, Purges):
                self._sweep()
        return outcome

    def of(self, user_id: object) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the last used first.

        Raises:
            ConfigurationError: The store keeps no index by owner.
        """
        return self._run(list_of(self._indexed(), self.keys.owner_of(user_id)))

    def get(self, handle: str) -> SessionInfo | None:
        """Return what may be shown of the live session with *handle*, or None."""
        return self._run(find(self.context, handle)) if _is_handle(handle) else None

    def revoke(self, handle: str) -> events.RevokeResult:
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
        return self._run(revoke_all(self._indexed(), self.keys.owner_of(user_id), keep=keep))

    def purge(self, *, batch: int = 1000) -> int:
        """Remove every expired record from a store that does not do so by itself; return how many."""
        removed = 0
        while isinstance(self.store, Purges):
            count = self._run(step(Purge(self.clock(), batch)))
            removed += count
            if count < batch:
                break
        return removed

    def _sweep(self) -> None:
        # The session that was just saved is none the worse for a store that fails now.
        with suppress(StoreUnavailable):
            self._run(step(Purge(self.clock(), _SWEPT)))

    def _indexed(self) -> Context:
        if not self._context.indexes:
            kind = type(self.store).__name__
            raise ConfigurationError(
                f"{kind} keeps no index by owner, so a user's sessions cannot be found: use a store that has one"
            )
        return self.context


def _is_handle(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")
