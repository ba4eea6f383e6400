"""On every store that keeps an index: ending all of a user's sessions holds against what is under way, in every order.

Each schedule is one order of the store calls of both, on records of its own. The real flows run on the real server.
"""

from __future__ import annotations

import contextlib
import os
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from support import seams
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.opening import open_session
from support.requests import Request

from holdfast.clock import HOUR
from holdfast.errors import LoginEnded
from holdfast.records.record import Page
from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.revoke import revoke_all
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import PAUSE, Flow
from holdfast.sessions.policy import Policy
from holdfast.sessions.server_session import ServerSession
from holdfast.stores.contract import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.stores.redis import RedisStore
from holdfast.stores.registry import open_store
from holdfast.stores.sqlite import SQLiteStore
from holdfast.testing import FakeClock

#: Run every order on every store, instead of some on those that take long.
EVERY = os.environ.get("HOLDFAST_TEST_EVERY_ORDER") == "1"

RENEWAL = HOUR

#: Returns which of so many flows takes the next step.
Choose: TypeAlias = Callable[[int], int]


def signed_in(manager: Manager, user: str) -> str:
    """Sign *user* in, and return the token."""
    session = Request(manager)
    session.bind(user)
    session["list"] = []
    session.commit()
    return session.token


def signed_in_long_ago(manager: Manager, user: str) -> str:
    """Sign *user* in, let the renewal interval pass, and return the token."""
    token = signed_in(manager, user)
    assert isinstance(manager.clock, FakeClock)
    manager.clock.advance(RENEWAL / 1000)
    return token


def signed_in_as_another(manager: Manager, user: str) -> str:
    """Sign somebody else in, and return the token."""
    return signed_in(manager, f"not {user}")


def anonymous(manager: Manager, user: str) -> str:
    """Store a session without a user, and return its token."""
    session = Request(manager)
    session["list"] = []
    session.commit()
    return session.token


def save(session: ServerSession, user: str) -> None:
    session["saved"] = user


def rotate(session: ServerSession, user: str) -> None:
    session.rotate()


def login(session: ServerSession, user: str) -> None:
    session.bind(user)


def logout(session: ServerSession, user: str) -> None:
    session.destroy()


def request(manager: Manager, token: str | None, view: Callable[[ServerSession, str], None], user: str) -> Flow[Any]:
    """Open the session of *token*, run *view* on it, and commit."""
    session = Request(manager)
    session.state.opened = True
    if token:
        yield from open_session(manager.context, session.state, token)
    view(session, user)
    with contextlib.suppress(LoginEnded):
        return (yield from commit(manager.context, session.state, in_store))


def run(flows: list[Flow[Any]], store: Any, choose: Choose, known: list[str]) -> None:
    """Run the flows to their ends, one store call of one of them at a time, as *choose* says.

    Keys are random, so a listing is put in the order in which its keys were met: first *known*, then one by one.
    """
    met = list(known)
    waiting = [(flow, next(flow)) for flow in flows]
    while waiting:
        at = choose(len(waiting))
        flow, operation = waiting.pop(at)
        answer: Any = None if operation.name == PAUSE else operation.run(store)
        met += operation.args[0][:2] if operation.name == "move" else operation.args[:1]
        if operation.name == "find":
            answer = Page(tuple(sorted(answer.items, key=lambda item: met.index(item[0]))), answer.after)
        with contextlib.suppress(StopIteration):
            waiting.insert(at, (flow, flow.send(answer)))


def every_order() -> Iterator[Choose]:
    """Yield what chooses an order, and then another, until there is none left."""
    plan: list[int] = []
    while True:
        chosen: list[tuple[int, int]] = []

        def choose(among: int, plan: list[int] = plan, chosen: list[tuple[int, int]] = chosen) -> int:
            at = plan[len(chosen)] if len(chosen) < len(plan) else 0
            chosen.append((at, among))
            return at

        yield choose
        while chosen and chosen[-1][0] + 1 == chosen[-1][1]:
            chosen.pop()
        if not chosen:
            return
        plan = [at for at, _ in chosen[:-1]] + [chosen[-1][0] + 1]


def some_orders(count: int, seed: int) -> Iterator[Choose]:
    """Yield what chooses at random, so many times."""
    dice = random.Random(seed)
    for _ in range(count):
        yield dice.randrange


ROLES: dict[str, tuple[Callable[[Manager, str], str] | None, Callable[[ServerSession, str], None]]] = {
    "a first login": (None, login),
    "a login over an anonymous session": (anonymous, login),
    "a login over the user's session": (signed_in, login),
    "a login again": (signed_in_long_ago, login),
    "a login over somebody else's session": (signed_in_as_another, login),
    "a save": (signed_in, save),
    "a logout": (signed_in, logout),
    "a rotation": (signed_in, rotate),
    "a renewal": (signed_in_long_ago, save),
}


@pytest.fixture(params=[pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """Return a manager on each kind of store that keeps an index."""
    clock = FakeClock()
    store = open_store(url_of_kind(request.param, request, tmp_path), root=tmp_path, clock=clock)
    yield Manager(store, policy=Policy(renewal=RENEWAL), clock=clock)
    if isinstance(store, Closes):
        store.close()


def key_of(manager: Manager, token: str | None) -> list[str]:
    """Return the key of a token, if there is one."""
    return [manager.keys.key_of(token)] if token else []


@pytest.mark.timeout(600 if EVERY else 60)
def test_nothing_that_began_before_survives(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every order of the calls of a login, a save or a rotation and those of the end of all, the user is out."""
    seams.MANAGER_PURGES_EVERY.plant(monkeypatch, 10**9)  # a purge now and then would be one call more
    exhaustive = EVERY or isinstance(manager.store, MemoryStore | SQLiteStore | RedisStore)
    raced = 0
    for before, view in ROLES.values():
        for choose in every_order() if exhaustive else some_orders(30, seed=1):
            user = uuid.uuid4().hex
            token = before(manager, user) if before else None
            flows = [request(manager, token, view, user), revoke_all(manager.context, manager.keys.owner_of(user))]
            run(flows, manager.store, choose, key_of(manager, token))
            assert manager.of(user) == [], view.__name__
            raced += 1
    assert raced >= (850 if exhaustive else 150), raced


@pytest.mark.timeout(60)
def test_two_logins_at_once_are_both_listed(manager: Manager) -> None:
    """In every order of their calls, both are in the index and both sessions live."""
    for choose in every_order():
        user = uuid.uuid4().hex
        token = anonymous(manager, user)
        flows = [request(manager, which, login, user) for which in (token, None)]
        run(flows, manager.store, choose, key_of(manager, token))
        assert len(manager.of(user)) == 2
