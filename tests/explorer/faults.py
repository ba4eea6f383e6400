"""Ways in which an actor or its store call fails, at one of its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from explorer.relay import relay
from explorer.schedules import Actor, Footprint, describe, footprint

from holdfast.errors import StoreUnavailable
from holdfast.sessions.ops import Call


@dataclass(frozen=True)
class Failing:
    """An operation that fails, before or after it is applied."""

    operation: Any
    applied: bool

    @property
    def footprint(self) -> Footprint:
        """Return what the operation touches."""
        return footprint(self.operation)

    def run(self, store: Any) -> None:
        """Fail."""
        if self.applied:
            self.operation.run(store)
        raise StoreUnavailable("the connection is lost")

    def __str__(self) -> str:
        """Return how it reads in a schedule."""
        return f"{describe(self.operation)}, {'applied but' if self.applied else 'not applied and'} not answered"


Fault = Callable[[int, Callable[[], None]], Callable[[Actor], Actor]]


def killed(at: int, happened: Callable[[], None]) -> Callable[[Actor], Actor]:
    """Return what ends an actor before its step number *at*, as a killed process does."""

    def fault(flow: Actor) -> Actor:
        answer = None
        for _ in range(at):
            try:
                operation = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = yield operation
        happened()
        return "killed"

    return fault


def _failing(at: int, happened: Callable[[], None], *, applied: bool) -> Callable[[Actor], Actor]:
    def fault(flow: Actor) -> Actor:
        step = -1

        def around(operation: Any) -> Actor:
            nonlocal step
            step += 1
            if step == at:
                happened()
                return (yield Failing(operation, applied))
            return (yield operation)

        return relay(flow, around)

    return fault


def unreached(at: int, happened: Callable[[], None]) -> Callable[[Actor], Actor]:
    """Return what makes the store fail at step number *at*, before it is applied."""
    return _failing(at, happened, applied=False)


def unanswered(at: int, happened: Callable[[], None]) -> Callable[[Actor], Actor]:
    """Return what makes the store fail at step number *at*, after it was applied."""
    return _failing(at, happened, applied=True)


FAULTS = (killed, unreached, unanswered)


def full(flow: Actor) -> Actor:
    """Let every call of *flow* fail that needs room in the store."""

    def around(operation: Any) -> Actor:
        needs_room = isinstance(operation, Call) and operation.name in ("create", "replace", "move")
        return (yield Failing(operation, applied=False) if needs_room else operation)

    return relay(flow, around)
