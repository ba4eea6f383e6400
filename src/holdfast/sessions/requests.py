"""What a front end needs for a request: to look its session up, and to carry out at the end what was asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, TypeVar

from holdfast.clock import Clock, system_clock
from holdfast.errors import HoldfastError, StoreUnavailable
from holdfast.events import Events
from holdfast.log import OutageLog, RejectionLog
from holdfast.metrics.observer import Observer, Observers, gather
from holdfast.records.codec import MSGPACK, Codec
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Unsealed
from holdfast.records.tokens import Keys
from holdfast.sessions.flows.commit import NO_METADATA, RequestFlows, commit
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.open import settle
from holdfast.sessions.flows.several import find_one
from holdfast.sessions.ops import Call, Flow, drive
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import CookieAction, Outcome, SessionState
from holdfast.stores.contract import Store, capabilities_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

_UNCHANGED = Outcome("unchanged", CookieAction.NONE)


def _as_it_is(error: HoldfastError) -> HoldfastError:
    return error


class Options(TypedDict, total=False):
    """What every manager of sessions takes.

    Attributes:
        policy: The timeouts and choices, or a function that returns them, called at each use.
        keys: The namespace. Default: ``session:``.
        codec: The encoding of payloads that are written. Stored payloads are decoded by their own format byte.
        clock: The time.
        sender: The sender of the signals, or a weak reference to it. Default: the manager.
        observer: One or several observers. Default: none.
        raised: Returns the exception to raise for one of ours: a front end's own kind of it. Default: the same.
        lists_unopened: Whether sealed sessions that no key opens are listed, by their times. Default: False.
    """

    policy: Policy | Callable[[], Policy] | None
    keys: Keys | None
    codec: Codec
    clock: Clock
    sender: object
    observer: Observer | Observers | Iterable[Observer] | None
    raised: Callable[[HoldfastError], HoldfastError]
    lists_unopened: bool


class Requests:
    """Opens and commits the sessions of an application's requests, synchronously.

    Args:
        flows: How the sessions are kept.
        store: Where the calls of the flows go; None if they make none.
        sealer: Seals the records. Default: they are stored as they are.
        options: See `Options`.
    """

    def __init__(
        self,
        flows: RequestFlows,
        store: Store | None,
        *,
        sealer: Sealer | Unsealed | None = None,
        **options: Unpack[Options],
    ) -> None:
        policy, sender = options.get("policy"), options.get("sender")
        self.clock = options.get("clock", system_clock)
        self.keys = options.get("keys") or Keys()
        self._flows = flows
        self._store = store
        self._raised = options.get("raised", _as_it_is)
        self._observers = gather(options.get("observer"))
        self._policy = policy if callable(policy) else None
        self._context = Context(
            policy=policy if isinstance(policy, Policy) else Policy(),
            keys=self.keys,
            codec=options.get("codec", MSGPACK),
            clock=self.clock,
            sealer=sealer or Unsealed(),
            events=self._stream(self if sender is None else sender),
            capabilities=capabilities_of(store),
            lists_unopened=options.get("lists_unopened", False),
        )

    def _stream(self, sender: object) -> Events:
        stream = Events(sender)
        stream.subscribe(RejectionLog(self.clock), "rejected")
        stream.subscribe(OutageLog(self.clock), "store_unavailable")
        if self._observers is not None:
            stream.subscribe(self._observers.count)
        return stream

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
        """The observers that were given."""
        return self._observers.members if self._observers is not None else ()

    def _run(self, flow: Flow[T] | Call[T]) -> T:
        observers = self._observers
        try:
            if observers is None:
                return drive(flow, self._store)
            return drive(flow, self._store, observers.timed, timer=observers.timer)
        except HoldfastError as error:
            if isinstance(error, StoreUnavailable):
                self._context.events.emit("store_unavailable", error=error)
            raise self._raised(error).with_traceback(error.__traceback__) from error.__cause__

    def has_form(self, value: str) -> bool:
        """Return whether *value* has the form of a cookie's value."""
        return self._flows.has_form(value)

    def open(self, state: SessionState, value: str | None, *others: str) -> None:
        """Fill *state* with the session of a cookie's *value*; None without a cookie.

        *others* are the values of other cookies of its name: see `holdfast.sessions.flows.several`.

        Raises:
            StoreUnavailable: The store failed, and the policy is not to go on without it.
        """
        context = self.context
        context.events.emit("opens")
        state.opened = state.read_only = True
        if value is None:
            state.read_only = False
            return
        try:
            flow = self._flows.find(context, state, value)
            if others:
                flow = find_one(context, self._flows, state, (value, *others))
            found = self._run(flow)
        except StoreUnavailable:
            context.events.emit("rejected", reason="store_unavailable")
            if context.policy.on_store_error != "anonymous":
                raise
            state.login_begins_anew = True
        else:
            settle(context, state, found)

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
            self._context.events.emit("saves", outcome=_UNCHANGED.result)
            return _UNCHANGED
        flow = commit(
            self.context,
            state,
            flows=self._flows,
            refresh=refresh,
            login_metadata=login_metadata,
            can_set_cookie=can_set_cookie,
        )
        return self._run(flow)

    def still_valid(self, session: SessionState | str) -> bool:
        """Return whether the session of a state, or of a cookie's value, still lives and is still its user's.

        Nothing is written or touched. A state is followed through renewals, if it is checked at least once an hour; a
        value that a renewal replaced is valid until the new one was presented, and for the grace period after that.

        Raises:
            StoreUnavailable: The store failed: it is not known.
        """
        return self._run(self._flows.still_valid(self.context, session))
