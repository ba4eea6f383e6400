"""Every order of the store calls of two first requests, and of one and the end of all of its user's sessions."""

from __future__ import annotations

import itertools
import pickle  # noqa: TID251  # the tests write what old releases wrote
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.clock import system_clock
from holdfast.imports.finders import Finder, Value
from holdfast.imports.flask_session import FlaskSessions
from holdfast.sessions.flows.open import Rejected
from holdfast.sessions.flows.revoke import revoke_all
from holdfast.sessions.flows.take_over import find
from holdfast.sessions.manager import Manager
from holdfast.sessions.state import SessionState
from holdfast.stores.memory import MemoryStore

_ID = "3f2b6a4e-3d51-4b7e-9a51-0d8c7c1b0a11"
_DATA = {"_user_id": "ada"}

Flows = Callable[[Manager], tuple[Any, Any]]


class Place(Finder):
    """A place with one session."""

    data = _DATA

    def find(self, _name: str, /) -> Value:
        return Value(pickle.dumps(self.data), None)

    def names(self, prefix: str, /) -> list[str]:
        return [f"{prefix}{_ID}"]


def first(manager: Manager) -> Any:
    """Return the flow of a first request."""
    return find(manager.context, SessionState(manager.clock()), _ID)


def outcomes(flows: Flows) -> Iterator[tuple[Manager, list[Any]]]:
    """Yield the manager and the outcomes of both flows, after each order of their calls."""
    for places in itertools.combinations(range(12), 6):
        order = [int(at in places) for at in range(12)]
        finder = Place(None, "", system_clock)
        old_place = FlaskSessions(finder, "session:", until=None, lifetime=0, clock=system_clock)
        manager = Manager(MemoryStore(), old_place=old_place)
        steps, ends = list(flows(manager)), [None, None]
        calls = [next(flow) for flow in steps]
        running = {0, 1}
        for which in (*order, *[0] * 30, *[1] * 30):
            if which in running:
                try:
                    calls[which] = steps[which].send(calls[which].run(manager.store))
                except StopIteration as stop:
                    ends[which] = stop.value
                    running.discard(which)
        assert not running
        yield manager, ends


def test_of_two_first_requests_one_takes_over() -> None:
    """In every order both requests find the session, and one session is made."""
    for manager, ends in outcomes(lambda manager: (first(manager), first(manager))):
        assert [found.data for found in ends] == [_DATA, _DATA]
        assert ends[0].stored.token == ends[1].stored.token
        assert len(manager.of("ada")) == 1


def test_of_two_requests_after_a_login_in_the_old_place_one_takes_that_over() -> None:
    """In every order both find the session of the user who signed in last, of whom one is made; the other's is over."""

    def flows(manager: Manager) -> tuple[Any, Any]:
        assert manager.take_over(_ID) == "now"
        place: Any = manager.context.old_place
        place._finder.data = {"_user_id": "eve"}
        return first(manager), first(manager)

    for manager, ends in outcomes(flows):
        assert [found.data for found in ends] == [{"_user_id": "eve"}] * 2
        assert ends[0].stored.token == ends[1].stored.token
        assert (len(manager.of("ada")), len(manager.of("eve"))) == (0, 1)


def test_a_first_request_during_the_end_of_all_sessions() -> None:
    """In every order no session of the user is left when both are over, or the request was before the end."""
    for manager, ends in outcomes(
        lambda manager: (first(manager), revoke_all(manager.context, manager.keys.owner_of("ada")))
    ):
        assert manager.of("ada") == []
        state = SessionState(manager.clock())
        manager.open(state, _ID)
        assert state.data == {}
        assert isinstance(ends[0], Rejected) or ends[0].data == _DATA
