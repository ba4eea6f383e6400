"""The interface of a front end: a request looks its session up, and at the end carries out the changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, TypeVar

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, HoldfastError, SessionConflict, StoreUnavailable, forget_locals
from holdfast.events import Events
from holdfast.log import OutageLog, RejectionLog
from holdfast.metrics.observer import Observer, Observers, gather
from holdfast.records.codec import MSGPACK, Codec
from holdfast.records.encryption import Sealer
from holdfast.records.envelope import Unsealed
from holdfast.records.tokens import Keys
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.context import Context, offset_of
from holdfast.sessions.flows.open import settle
from holdfast.sessions.flows.several_cookies import find_one
from holdfast.sessions.ops import Breaker, Call, Flow, as_store_error, drive
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import NOTHING, Outcome, SessionState
from holdfast.stores.contract import Pings, Store, capabilities_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from holdfast.imports.place import OldPlace
    from holdfast.sessions.flows.request_flows import RequestFlows

T = TypeVar("T")


class Options(TypedDict, total=False):
    """The arguments of every manager of sessions.

    Attributes:
        policy: The timeouts and choices at first: see `Requests.adopt`.
        keys: The namespace. Default: ``session:``.
        codec: The encoding of payloads that are written. Stored payloads are decoded by their own format byte.
        clock: The time.
        sender: The sender of the signals, or a weak reference to it. Default: the manager.
        observer: One or several observers. Default: none.
        raised: Returns the exception to raise for one of ours: a front end's own kind of it. Default: the same.
        lists_unopened: Whether sealed sessions that no key opens are listed, by their times. Default: False.
        old_place: Where sessions were that are taken over at their first request. Default: None.
    """

    policy: Policy | None
    keys: Keys | None
    codec: Codec
    clock: Clock
    sender: object
    observer: Observer | Observers | Iterable[Observer] | None
    raised: Callable[[HoldfastError], HoldfastError]
    lists_unopened: bool
    old_place: OldPlace | None


class Requests:
    """Opens and commits the sessions of an application's requests, synchronously.

    Args:
        flows: How the sessions are kept.
        store: Where the calls of the flows go; None if they make none.
        sealer: Seals the records. Default: they are stored as they are.
        options: See `Options`.

    Attributes:
        context: The circumstances of the flows.
        has_form: Returns whether a text has the form of a cookie's value.
    """

    def __init__(
        self,
        flows: RequestFlows,
        store: Store | None,
        *,
        sealer: Sealer | Unsealed | None = None,
        **options: Unpack[Options],
    ) -> None:
        sender = options.get("sender")
        self.clock: Clock = options.get("clock", system_clock)
        self.keys: Keys = options.get("keys") or Keys()
        if isinstance(sealer, Sealer) and sealer.namespace != self.keys.namespace:
            raise ConfigurationError(
                f"the sealer is for the namespace {sealer.namespace!r}, and the keys are for {self.keys.namespace!r}"
            )
        self._flows = flows
        self._find = flows.find
        self.has_form: Callable[[str], bool] = flows.has_form
        self._store = store
        self._breakers = Breaker(), Breaker()
        self._raised: Callable[[HoldfastError], HoldfastError] = options.get("raised", lambda error: error)
        self._observers = gather(options.get("observer"))
        events = Events(self if sender is None else sender)
        events.subscribe(RejectionLog(self.clock), "rejected")
        events.subscribe(OutageLog(self.clock), "store_unavailable")
        if self._observers is not None:
            events.subscribe(self._observers.count)
        self.context: Context = Context(
            policy=options.get("policy") or Policy(),
            keys=self.keys,
            codec=options.get("codec", MSGPACK),
            clock=self.clock,
            sealer=sealer or Unsealed(),
            events=events,
            capabilities=capabilities_of(store),
            lists_unopened=options.get("lists_unopened", False),
            old_place=options.get("old_place"),
        )

    def adopt(self, policy: Policy) -> None:
        """Apply *policy* from now on."""
        self.context = replace(self.context, policy=policy)

    def _run(self, flow: Flow[T] | Call[T]) -> T:
        observers = self._observers
        try:
            if observers is None:
                return drive(flow, self._store, breakers=self._breakers)
            return drive(flow, self._store, observers.timed, timer=observers.timer, breakers=self._breakers)
        except Exception as error:
            forget_locals(error)
            if not isinstance(error, HoldfastError):
                raise
            if isinstance(error, StoreUnavailable):
                self.context.events.emit("store_unavailable", error=error)
            raise self._raised(error).with_traceback(error.__traceback__) from error.__cause__

    def open(self, state: SessionState, value: str | None, *others: str) -> None:
        """Fill *state* with the session of a cookie's *value*; None without a cookie.

        *others* are the values of other cookies of its name: see `holdfast.sessions.flows.several_cookies`.

        Raises:
            StoreUnavailable: The store failed, and the policy is not to go on without it.
        """
        context = self.context
        if self._observers:
            context.events.emit("opens")
        state.opened = state.read_only = True
        if value is None:
            state.read_only = False
            return
        try:
            flow = self._find(context, state, value)
            if others:
                flow = find_one(context, self._find, state, (value, *others))
            found = self._run(flow)
        except StoreUnavailable:
            context.reject("store_unavailable")
            if context.policy.on_store_error != "anonymous":
                raise
            state.login_begins_anew = True
        else:
            settle(context, state, found)
        if self._observers and state.stored is not None:
            context.events.emit("loads")

    def commit(self, state: SessionState) -> Outcome:
        """Carry out what the request asked of its session, and return the outcome, with what to do with the cookie."""
        outcome = NOTHING
        if state.pending or self._upkeep_due(state):
            try:
                outcome = self._run(commit(self.context, state, self._flows))
            except SessionConflict:
                if self._observers:
                    self.context.events.emit("saves", outcome="conflict")
                raise
        if self._observers:  # nobody else subscribes to it
            self.context.events.emit("saves", outcome=outcome.result)
        return outcome

    def _upkeep_due(self, state: SessionState) -> bool:
        """Return whether this use requires a touch, a new token or the cookie once more."""
        stored, policy, now = state.stored, self.context.policy, state.opened_at
        if stored is None or state.background:
            return False
        envelope, refreshes = stored.envelope, state.was_permanent and policy.refresh_cookie
        return (
            policy.touch_due(envelope, stored.expires_at, now)
            or (policy.renewal is not None and policy.renewal_due(envelope.issued_at, now, navigation=state.navigation))
            or (refreshes and policy.cookie_due(envelope, now, navigation=state.navigation))
        )

    def offset(self) -> int:
        """Return how many milliseconds the clock that all hosts share is ahead of this host's.

        Raises:
            StoreUnavailable: It had to be measured, and the store failed.
        """
        return self._run(offset_of(self.context))

    def ping(self) -> None:
        """Return if the store answers and takes writes, as far as it can be asked without one.

        Raises:
            StoreUnavailable: It does not.
        """
        if isinstance(self._store, Pings):
            try:
                self._store.ping()
            except (StoreUnavailable, ConfigurationError) as error:
                raise self._raised(as_store_error(error)) from error.__cause__

    def still_valid(self, session: SessionState | str) -> bool:
        """Return whether the session of a state, or of a cookie's value, still lives and is still its user's.

        Nothing is written or touched. A state is followed through renewals, if it is checked at least once an hour; a
        value that a renewal replaced is valid until the new one was presented, and for the grace period after that.

        Raises:
            StoreUnavailable: The store failed: it is not known.
        """
        return self._run(self._flows.still_valid(self.context, session))
