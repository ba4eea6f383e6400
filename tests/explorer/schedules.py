"""One schedule: the flows of several actors, run step by step in one order, and how that reads."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from holdfast.errors import DecodeError, StoreError
from holdfast.records.envelope import Cutoff, Envelope, Sealed, Vouched, decode
from holdfast.records.record import Conflict, Gone, Page, Record
from holdfast.sessions.ops import PAUSE, Call
from holdfast.testing.clock import FakeClock

#: A schedule longer than this does not end.
MOST_STEPS = 500

#: The owner index, and what there is at all, as things that operations touch.
_INDEX = frozenset(("index",))
_ALL = frozenset(("all",))


@dataclass(frozen=True, slots=True)
class Footprint:
    """The things that an operation touches. Two operations commute if all they have in common is read or added to.

    Attributes:
        reads: Keys that are read, and the index when it is read.
        adds: The index, when entries come or go: in which order does not matter.
        writes: Keys that are written.
        moves_time: Time passes, which every operation depends on.
    """

    reads: frozenset[str] = frozenset()
    adds: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    moves_time: bool = False

    def commutes_with(self, other: Footprint) -> bool:
        """Return whether the order of two operations with these footprints has no effect."""
        return (
            not (self.moves_time or other.moves_time)
            and self.writes.isdisjoint(other.writes | other.reads | other.adds)
            and self.reads.isdisjoint(other.writes | other.adds)
            and self.adds.isdisjoint(other.writes | other.reads)
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """A step of a test's own that calls no store: a moment that others can come before or after. Sends back None."""

    name: str
    footprint: Footprint = Footprint()

    def run(self, store: object) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A step of a test's own in which time passes: *ms* milliseconds on *clock*. Sends back None."""

    clock: FakeClock
    ms: int
    footprint: ClassVar[Footprint] = Footprint(moves_time=True)

    def run(self, store: object) -> None:
        """Let the time pass."""
        self.clock.advance_ms(self.ms)

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"{self.ms / 1000:g} s pass"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation that was carried out, by whom, and what it answered or raised."""

    actor: str
    operation: Any
    answer: Any


Actor: TypeAlias = Generator[Any, Any, Any]


class World(Protocol):
    """Where a schedule happens. It is built anew for each one, always the same: no randomness, no real time.

    Attributes:
        store: The store of the operations.
        actors: The flows, by the names of those who act. Besides calls of the store a flow may yield operations of its
            own that have a *footprint* and a method ``run(store)``. A pause takes no time.
        names: The names of the keys in a report.
    """

    store: Any
    actors: Mapping[str, Actor]
    names: Mapping[str, str]

    def check(self, schedule: Schedule) -> None:
        """Raise `AssertionError` unless all is as it must be now that every actor is done."""


class Schedule:
    """One way through a world.

    Attributes:
        world: The world it goes through.
        steps: The steps so far, in order.
        waiting: The next operation of each actor that is not done.
        outcomes: The results of the finished actors.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.steps: list[Step] = []
        self.waiting: dict[str, Any] = {}
        self.outcomes: dict[str, Any] = {}
        for actor in world.actors:
            self._resume(actor, None)

    def step(self, actor: str) -> None:
        """Carry out the next operation of *actor*. Exceptions of its flow are raised."""
        if len(self.steps) == MOST_STEPS:
            raise AssertionError(f"the flows do not end: after {MOST_STEPS} steps {sorted(self.waiting)} still go on")
        operation = self.waiting.pop(actor)
        try:
            answer = operation.run(self.world.store)
        except StoreError as error:
            answer = error
        self.steps.append(Step(actor, operation, answer))
        self._resume(actor, answer)

    def _resume(self, actor: str, answer: Any) -> None:
        flow = self.world.actors[actor]
        try:
            operation = flow.throw(answer) if isinstance(answer, StoreError) else flow.send(answer)
            while _is_call(operation, PAUSE):
                operation = flow.send(None)
        except StopIteration as stop:
            self.outcomes[actor] = stop.value
        else:
            self.waiting[actor] = operation

    def follow(self, order: Iterable[str]) -> None:
        """Take the steps in *order*, leaving out who is done, and then let the others finish one after the other."""
        for actor in order:
            if actor in self.waiting:
                self.step(actor)
        while self.waiting:
            self.step(next(iter(self.waiting)))

    @property
    def order(self) -> list[str]:
        """The actor of each step."""
        return [step.actor for step in self.steps]

    @property
    def calls(self) -> frozenset[str]:
        """The names of the store calls, and ``owner`` where one of them names an owner."""
        made = [call for step in self.steps if isinstance(call := _within(step.operation), Call)]
        named = any(call.kwargs.get("owner") is not None for call in made)
        return frozenset(call.name for call in made) | ({"owner"} if named else set())

    def __str__(self) -> str:
        """The steps as lines of text, for people."""
        width = max(map(len, self.world.actors))
        lines = [
            f"{number:3}  {step.actor:{width}}  {describe(step.operation)}{_answered(step.answer)}"
            for number, step in enumerate(self.steps, 1)
        ]
        lines += [f"     {actor:{width}}  returned {outcome!r}" for actor, outcome in self.outcomes.items()]
        names = self.world.names
        return re.sub(r"\b[0-9a-f]{64}\b", lambda match: names.get(match[0], match[0][:8]), "\n".join(lines))


def _within(operation: Any) -> Any:
    """Return what *operation* stands for: it may be a call that fails, or one that a cache answers."""
    while hasattr(operation, "operation"):
        operation = operation.operation
    return operation


def _is_call(operation: Any, name: str) -> bool:
    return isinstance(operation, Call) and operation.name == name


def footprint(operation: Any) -> Footprint:
    """Return the keys that *operation* touches. Overwriting a record may remove it from an index, of any owner."""
    made: Footprint
    match operation:
        case Call("load" | "confirm", (key,)):
            made = Footprint(reads=frozenset((key,)))
        case Call("touch", (key,)):
            made = Footprint(writes=frozenset((key,)))
        case Call("create", (key, _), {"owner": None}):
            made = Footprint(adds=_ALL, writes=frozenset((key,)))
        case Call("create" | "replace" | "delete", (key, *_)):
            made = Footprint(adds=_INDEX | _ALL, writes=frozenset((key,)))
        case Call("discard", (versions,)):
            made = Footprint(adds=_INDEX | _ALL, writes=frozenset(versions))
        case Call("move", (rotation,)):
            made = Footprint(adds=_INDEX | _ALL, writes=frozenset((rotation.old, rotation.new)))
        case Call("find"):
            made = Footprint(reads=_INDEX)
        case Call("now"):
            made = Footprint()
        case Call("scan"):
            made = Footprint(reads=_ALL)
        case _:
            made = operation.footprint
    return made


def describe(operation: Any) -> str:
    """Return what *operation* does, for people."""
    match operation:
        case Call("create" | "replace", (key, data)):
            details = f"{key} = {_body(data)}"
        case Call("move", (step,)):
            details = f"{step.old} = {_body(step.tombstone)}, {step.new} = {_body(step.data)}"
        case Call("discard", (versions,)):
            details = " and ".join(versions)
        case Call("scan", (after,)):
            details = f"after {after}"
        case Call("now"):
            details = "by the server's clock"
        case Call(_, (details,)) | Call("find", (details, _)):
            pass
        case Mark(name=name):
            return name
        case _:
            return str(operation)
    return f"{operation.name} {details}"


def _body(data: bytes) -> str:
    try:
        body = decode(data)
    except DecodeError:
        return f"{len(data)} bytes"
    if isinstance(body, Envelope):
        return str(body.codec.loads(body.payload))
    if isinstance(body, Cutoff):
        return f"cut-off, keep {body.keep}"
    if isinstance(body, Sealed | Vouched):
        return f"sealed, {len(data)} bytes"
    return f"{body.kind.name.lower()}, successor {body.successor}"


def _answered(answer: Any) -> str:
    match answer:
        case None:
            return ""
        case Record(data=data):
            return f" -> {_body(data)}"
        case Conflict() | Gone():
            return f" -> {type(answer).__name__.lower()}"
        case list() | Page():
            keys = [key for key, _ in answer.items] if isinstance(answer, Page) else answer
            return f" -> {', '.join(keys) or 'nothing'}"
        case bool() | StoreError():
            return f" -> {answer!r}"
        case _:
            return " -> done"
