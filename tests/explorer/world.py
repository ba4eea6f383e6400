"""The environment of the requests: one store, two browsers, and the response of each request."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import count
from typing import Any, ClassVar, Literal

from explorer.relay import relay
from explorer.schedules import Actor, Footprint, Mark, Pass, Schedule
from explorer.stores import Atomic, caching, scattering

from holdfast.clock import HOUR, MINUTE
from holdfast.errors import EncodeError, LoginEnded, SessionConflict, StoreUnavailable, TooManySessions
from holdfast.events import Events
from holdfast.records.codec import MSGPACK
from holdfast.records.envelope import Cutoff, Envelope, decode, encode
from holdfast.records.record import Record
from holdfast.records.tokens import Keys
from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.open import settle
from holdfast.sessions.flows.request_flows import RequestFlows
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import drive
from holdfast.sessions.policy import Policy
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import PERMANENT, CookieAction, SessionState
from holdfast.stores.contract import Rotates, capabilities_of
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.testing.clock import FakeClock

KEYS = Keys("session:")
key_of = cache(KEYS.key_of)
ALICE = KEYS.owner_of("alice")
BOB = KEYS.owner_of("bob")

_ENDS = frozenset(("ends",))

#: The moment a view is done, and the moment a request that ended or replaced an id is answered. Which comes first
#: decides what the other may still send.
VIEW_DONE = Mark("view done", Footprint(reads=_ENDS))
ANSWERED = Mark("answered", Footprint(adds=_ENDS))


class Mint:
    """Stands in for `secrets`: an actor's first token is the same in every run, whatever the others did before."""

    turn: ClassVar[str] = ""
    made: ClassVar[dict[str, int]] = {}
    names: ClassVar[dict[str, str]] = {}

    @classmethod
    def reset(cls) -> dict[str, str]:
        """Begin a new world, and return what its keys will be called."""
        cls.turn, cls.made = "", {}
        cls.names = {ALICE: "alice", BOB: "bob"}
        cls.names |= {KEYS.cutoff_key(ALICE): "<cut-off of alice>", KEYS.cutoff_key(BOB): "<cut-off of bob>"}
        return cls.names

    @classmethod
    def token_urlsafe(cls, size: int) -> str:
        """Return the next token of the actor whose turn it is."""
        number = cls.made[cls.turn] = cls.made.get(cls.turn, 0) + 1
        token, key = _token(cls.turn, number, size)
        cls.names[key] = f"<{cls.turn}>" if number == 1 else f"<{cls.turn}, {number}>"
        return token


@cache
def _token(turn: str, number: int, size: int) -> tuple[str, str]:
    secret = hashlib.sha256(f"{turn} {number}".encode()).digest()[:size]
    token = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return token, key_of(token)


@cache
def _capabilities(backend: type[Atomic]) -> frozenset[type]:
    found = capabilities_of(backend(clock=FakeClock()))
    return found if backend.rotates else found - {Rotates}


_MANAGER = Manager(MemoryStore(), keys=KEYS)


def _not_opened(state: SessionState) -> None:
    raise AssertionError("the session was not opened")


def face_of(state: SessionState) -> ServerSession:
    """Return the session that shows *state*, which is opened by hand."""
    state.opened = True
    return ServerSession(_MANAGER, state, _not_opened)


def untouched(flow: Actor) -> Actor:
    """Return *flow* as it is."""
    return flow


@dataclass(frozen=True)
class Host:
    """The server process of an actor.

    Attributes:
        ahead: The difference of its clock from that of the world, in milliseconds.
        near: It has a near cache, which holds what was stored before the race.
        on_conflict: Its policy for conflicts.
        on_store_error: Its policy for an outage during the lookup of a session.
        attempts: Its policy's number of attempts at a write.
    """

    ahead: int = 0
    near: bool = False
    on_conflict: Literal["merge", "error"] = "merge"
    on_store_error: Literal["raise", "anonymous"] = "raise"
    attempts: int = 100


HOST = Host()


@dataclass(frozen=True)
class Role:
    """An actor's task: a request with a *view*, or an *errand* without a session.

    Attributes:
        name: Its name in reports.
        view: The request's code on its session; it also gets the actor's name.
        then: The store calls of that code after *view*.
        errand: Makes the flow of an actor that is not a request.
        browser: Whose cookie the request carries; None: it has none.
        marks: The properties that the invariants need; see `explorer.roles`.
        idle: How long the session was not used before, in milliseconds.
        renewal: Whether its token has been in use for the renewal interval.
        refresh: Whether the browser's cookie is due to be sent again.
        navigation: Whether the request loads a page.
        began: How long ago the request began, in milliseconds.
        lasts: The duration of its view, in milliseconds.
        fault: The fault during its run.
        host: Where it runs.
    """

    name: str
    view: Callable[[ServerSession, str], object] | None = None
    then: Callable[[Context, SessionState], Actor] | None = None
    errand: Callable[[World, Context], Actor] | None = None
    browser: str | None = "here"
    marks: frozenset[str] = frozenset()
    idle: int = 1000
    renewal: bool = False
    refresh: bool = False
    navigation: bool = True
    began: int = 0
    lasts: int = 0
    fault: Callable[[Actor], Actor] = untouched
    host: Host = HOST


@dataclass
class Answer:
    """The response of a request.

    Attributes:
        role: Whose it is.
        found: The handle of the session that its token opened, or None.
        read_only: Whether its id was superseded.
        after: The actors that were answered, before its view was done, that a session or an id is over.
        result: As in `holdfast.sessions.state.Outcome`; empty while there is none, or an error, or a login was refused.
        cookie: The value of the `CookieAction`.
        token: The token that its cookie carries.
    """

    role: Role
    found: str | None
    read_only: bool
    after: tuple[str, ...] = ()
    result: str = ""
    cookie: str = ""
    token: str | None = None


@dataclass(frozen=True)
class Live:
    """A live session in the store."""

    key: str
    owner: str | None
    data: dict[str, Any]


@dataclass(frozen=True)
class Seat:
    """A browser and its session when the race begins."""

    token: str
    key: str
    record: Record


@cache
def _seats(user: str | None, *, bare: bool) -> dict[str, Seat]:
    """Return the browsers ``here``, where *user* or no user is signed in, and ``there``, where Alice is."""
    Mint.reset()
    clock = FakeClock()
    store = Atomic(clock=clock)
    context = Context(Policy(), KEYS, MSGPACK, clock, Events(None), capabilities_of(store), new_tokens=count(1))
    seats = {}
    for browser, who in (("here", user), ("there", "alice")):
        Mint.turn = browser
        state = SessionState(clock(), data={PERMANENT: browser, "last": 1})
        session = face_of(state)
        session.update({} if bare else {"list": [], "hits": 0, "shared": ""})
        session.update({} if who is None else {"_user_id": who})
        drive(commit(context, state, in_store), store)
        stored = state.stored
        assert stored is not None
        record = store.load(stored.key)
        assert record is not None
        seats[browser] = Seat(stored.token, stored.key, record)
    return seats


@dataclass(repr=False)
class World:
    """A fresh store for *roles* to meet on, made by *backend*.

    *user* is signed in, or no user is, in the browser ``here``; with *bare*, its session holds one key only. Alice is
    signed in ``there``, too. *judge* checks the world at the end. *tamper* may change the actors. *limits* is the
    policy's number of sessions per user. With *cutoff_before*, all of Alice's sessions were ended once before.

    Attributes:
        tokens: The initial tokens of the two browsers.
        handles: The handles of their sessions.
        answers: The response of each request.
        results: The result of each errand.
        answered: The actors that were answered that a session or an id is over, in order.
        signals: Every signal that was sent, with its details.
    """

    roles: Sequence[Role]
    backend: type[Atomic]
    user: str | None
    judge: Callable[[World], None]
    bare: bool = False
    tamper: Callable[[Actor], Actor] = untouched
    limits: Mapping[str, Any] = field(default_factory=dict)
    cutoff_before: bool = False

    #: How the sessions are kept.
    flows: ClassVar[RequestFlows] = in_store

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.store = self.backend(clock=self.clock)
        self.tokens: dict[str, str] = {}
        self.handles: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}
        self.results: dict[str, Any] = {}
        self.answered: list[str] = []
        self.signals: list[tuple[str, Mapping[str, Any]]] = []
        self.events = Events(None)
        self.events.subscribe(
            lambda event, details: self.signals.append((event, details)), "created", "ended", "rotated"
        )
        self.names: Mapping[str, str] = self.take_seats()
        if self.cutoff_before:
            cutoff = encode(Cutoff(self.clock() - MINUTE, None))
            self.store.create(KEYS.cutoff_key(ALICE), cutoff, expires_at=self.clock() + HOUR)
        self.clock.advance_ms(max(role.idle for role in self.roles))
        self.actors: Mapping[str, Actor] = self._cast()

    def take_seats(self) -> Mapping[str, str]:
        """Sign the browsers in, and return the names of keys in reports."""
        seats = _seats(self.user, bare=self.bare)
        names = Mint.reset()
        for browser, seat in seats.items():
            names[seat.key] = f"<{browser}>"
            self.store.seat(seat.key, seat.record)
            self.tokens[browser], self.handles[browser] = seat.token, seat.key
        return names

    def _cast(self) -> dict[str, Actor]:
        """Return the flows of all roles; a role with a namesake gets a number."""
        actors: dict[str, Actor] = {}
        for at, role in enumerate(self.roles):
            number = [earlier.name for earlier in self.roles[:at]].count(role.name) + 1
            name = role.name if number == 1 else f"{role.name} {number}"
            context = self.context(role.host, renewal=role.renewal)
            flow = role.errand(self, context) if role.errand else self._request(name, role, context)
            flow = scattering(role.fault(self.tamper(flow)), self.store)
            actors[name] = self._act(name, caching(flow, self._cache()) if role.host.near else flow)
        return actors

    def _cache(self) -> NearCache:
        """Return a near cache that holds all records of the store."""
        cache = NearCache(self.store, clock=self.clock)
        for key, _ in self.store.scan(limit=100).items:
            cache.load(key)
        return cache

    def context(self, host: Host = HOST, *, renewal: bool = False) -> Context:
        """Return what a flow on *host* works with."""
        return Context(
            policy=Policy(
                renewal=1 if renewal else None,
                on_conflict=host.on_conflict,
                on_store_error=host.on_store_error,
                attempts=host.attempts,
                **self.limits,
            ),
            keys=KEYS,
            codec=MSGPACK,
            clock=(lambda: self.clock() + host.ahead) if host.ahead else self.clock,
            events=self.events,
            new_tokens=count(1),  # so that none of them is followed by a purge
            capabilities=_capabilities(self.backend),  # type: ignore[arg-type]  # mypy: a class has the __hash__ of its objects
        )

    def _act(self, name: str, flow: Actor) -> Actor:
        """Let the mint know whose turn it is, and note what becomes of an errand."""

        def in_turn(operation: Any) -> Actor:
            try:
                return (yield operation)
            finally:
                Mint.turn = name

        Mint.turn = name
        try:
            self.results[name] = yield from relay(flow, in_turn)
        except StoreUnavailable:
            self.results[name] = "unavailable"
        except TooManySessions:
            self.results[name] = "refused"
        except SessionConflict:
            self.results[name] = "conflict"
        except EncodeError:
            self.results[name] = "not encoded"
        return self.results[name]

    def _request(self, name: str, role: Role, context: Context) -> Actor:
        state = SessionState(context.clock() - role.began)
        if role.browser:
            yield from self._open(context, state, self.tokens[role.browser])
        state.refresh, state.navigation = role.refresh, role.navigation
        answer = self.answers[name] = Answer(role, state.handle, state.read_only)
        assert role.view is not None
        role.view(face_of(state), name)
        if role.then:
            yield from role.then(context, state)
        yield Pass(self.clock, role.lasts) if role.lasts else VIEW_DONE
        answer.after = tuple(self.answered)
        try:
            outcome = yield from commit(context, state, self.flows)
        except LoginEnded:
            return "refused"
        except StoreUnavailable:
            answer.token = state.stored.value if state.owed and state.stored is not None else None
            raise
        answer.result, answer.cookie = outcome.result, outcome.cookie.value
        if state.stored is not None and outcome.cookie is CookieAction.SEND:
            answer.token = state.stored.value
        ended = outcome.cookie is CookieAction.DELETE
        if ended or (outcome.result == "saved" and answer.found not in (None, state.handle)):
            yield from self.announce(name)
        return f"{outcome.result}, cookie {outcome.cookie.value}"

    def _open(self, context: Context, state: SessionState, token: str) -> Actor:
        """Look the session up, as `holdfast.sessions.requests.Requests.open` does."""
        state.opened = state.read_only = True
        try:
            settle(context, state, (yield from self.flows.find(context, state, token)))
        except StoreUnavailable:
            if context.policy.on_store_error != "anonymous":
                raise
            state.login_begins_anew = True

    def announce(self, name: str) -> Generator[Mark, None, None]:
        """Record that a session or an id is over: no later actor may bring it back."""
        yield ANSWERED
        self.answered.append(name)

    def check(self, schedule: Schedule) -> None:
        """Check that all is as it must be."""
        del schedule
        self.judge(self)

    def probe(self, token: str) -> SessionState:
        """Return the state of a request that comes with *token* now."""
        state = SessionState(self.clock())
        context = self.context()
        settle(context, state, drive(self.flows.find(context, state, token), self.store))
        return state

    @property
    def known_tokens(self) -> list[str]:
        """The tokens that some browser had in the beginning, or was sent."""
        return [*self.tokens.values(), *(answer.token for answer in self.answers.values() if answer.token)]

    @cached_property
    def begun(self) -> frozenset[str]:
        """The requests that signed in under an id that was replaced, and began a session of their own.

        Asked for only when the race is over.
        """
        created = {details["handle"] for name, details in self.signals if name == "created"}
        tokens = {name: answer.token for name, answer in self.answers.items() if answer.role.browser}
        return frozenset(name for name, token in tokens.items() if token and key_of(token) in created)

    @cached_property
    def sessions(self) -> list[Live]:
        """Every live session in the store. Asked for only when the race is over."""
        bodies = ((key, record.owner, decode(record.data)) for key, record in self.store.scan(limit=100).items)
        found = ((key, owner, body) for key, owner, body in bodies if isinstance(body, Envelope))
        return [Live(key, owner, MSGPACK.loads(body.payload)) for key, owner, body in found]

    @cached_property
    def survivors(self) -> list[Live]:
        """Those of them that hold what the session in the browser ``here`` held, under whatever id."""
        return [session for session in self.sessions if session.data.get(PERMANENT) == "here"]
