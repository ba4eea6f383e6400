"""What an end, or a rotation that fails, leaves in the store: nothing of its own, and all that is another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from support.everywhere import KINDS, web_on
from support.requests import Request
from support.web import Web, end, rotate

from holdfast.errors import LoginEnded
from holdfast.flask import session
from holdfast.records.encryption import Keyring, new_key
from holdfast.records.envelope import Tombstone, TombstoneKind, encode
from holdfast.sessions.cookie_manager import RevocableCookieManager
from holdfast.sessions.flows.end import end_session
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import drive
from holdfast.sessions.policy import Policy
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import CookieAction
from holdfast.stores.contract import Rotates, Store
from holdfast.stores.files import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock
from holdfast.testing.wrappers import StoreWrapper

_EVERYWHERE = [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()]


class Interrupted(StoreWrapper):
    """A store where something happens before the next call of one operation."""

    operation = ""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.interruption: Callable[[], object] = lambda: None

    def before(self, operation: str, interruption: Callable[[], object]) -> None:
        """Let *interruption* happen before the next call of *operation*."""
        self.operation, self.interruption = operation, interruption

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Make the call, after what is to happen before it."""
        if operation == self.operation:
            self.operation = ""
            self.interruption()
        return call()


def begin(manager: Requests, user: str | None = None) -> Request:
    """Return the request that began a session, of *user* if there is one."""
    first = Request(manager)
    first["a"] = 1
    if user is not None:
        first.bind(user)
    first.commit()
    return first


def test_an_end_leaves_what_another_user_has_meanwhile() -> None:
    """A session that was moved to another user while it was to be ended is that user's, and is left."""
    manager = Manager(MemoryStore())
    theirs, mine = begin(manager, "bob"), begin(manager, "ada")
    stored, there = mine.state.stored, theirs.state.stored
    assert stored is not None
    assert there is not None
    left = Tombstone(TombstoneKind.SUPERSEDED, manager.clock() + 1000, there.key)
    manager.store.replace(stored.key, encode(left), expect=stored.version, expires_at=2**50)
    flow = end_session(manager.context, stored.key, stored.version, stored.owner, "evicted")
    assert drive(flow, manager.store) is None
    assert manager.still_valid(theirs.token)


def test_a_visitors_logout_leaves_the_login_that_came_meanwhile() -> None:
    """The user who signed in in another tab stays signed in."""
    manager = Manager(MemoryStore())
    token = begin(manager).token
    logout, login = Request(manager, token), Request(manager, token)
    logout.clear()
    login.bind("ada")
    login.commit()
    logout.commit()
    assert manager.still_valid(login.token)


@pytest.mark.parametrize("kind", _EVERYWHERE)
@pytest.mark.parametrize("way", ["logout", "revoke", "revoke everyone"])
def test_nothing_is_left_of_a_session_that_was_ended(
    kind: str, way: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Its record is removed at once, not only made invalid."""
    with web_on(kind, request, tmp_path) as web:
        web.do(lambda: session.update(a=1))
        handle = web.see(lambda: session.handle)
        if way == "logout":
            web.do(end)
        elif way == "revoke" or kind == "memcached":
            web.sessions.revoke(handle)
        else:
            web.sessions.revoke_everyone()
        assert web.memory.load(handle) is None


@pytest.fixture(params=["files", "memory in steps"])
def stepwise(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Interrupted]:
    """Return a store that moves a record in steps."""
    if request.param == "files":
        yield Interrupted(FileStore(tmp_path / "kept"))
        return

    class Steps(MemoryStore):
        move = None  # type: ignore[assignment]

    yield Interrupted(Steps())


@pytest.mark.parametrize("login", [False, True], ids=["rotate", "login"])
@pytest.mark.parametrize("what", ["revoked", "changed"])
def test_a_rotation_in_steps_that_fails_leaves_no_session(stepwise: Interrupted, login: bool, what: str) -> None:
    """The record that was made for it is removed: it is in no list, and takes no place of the user's."""
    assert not isinstance(stepwise, Rotates)
    manager = Manager(stepwise, policy=Policy(max_per_user=2))
    token = begin(manager, "ada").token
    handle = Request(manager, token).handle
    moving = Request(manager, token)
    moving["b"] = 2
    if login:
        moving.bind("ada")
    else:
        moving.rotate()

    def meanwhile() -> None:
        if what == "revoked":
            manager.revoke(str(handle))
        else:
            other = Request(manager, token)
            other["c"] = 3
            other.commit()

    stepwise.before("replace", meanwhile)
    with pytest.raises(LoginEnded) if login and what == "revoked" else nullcontext():
        moving.commit()
    live = {each.handle for each in manager.of("ada")}
    assert live == (set() if what == "revoked" else {moving.handle})
    kept = [key for key, _ in stepwise.store.scan(None, limit=100).items]  # type: ignore[attr-defined]
    assert len([key for key in kept if manager.get(key) is not None]) == len(live)


@pytest.mark.parametrize("way", [end, rotate])
def test_a_form_of_an_end_is_no_session(way: Callable[[], object]) -> None:
    """After a logout and after a rotation the old token opens nothing, at any time."""
    web = Web()
    web.do(lambda: session.update(a=1))
    old = web.token()
    web.do(way)
    for seconds in (0, 29, 30, 31, 3600, 86_400):
        web.clock.advance(seconds)
        assert web.data(web.with_token(old)) == {}


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


@pytest.fixture(params=["at once", "in steps", "cookie"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Manager | RevocableCookieManager:
    """Return a manager of stored sessions, on a store of each kind, or of sessions in the cookie."""
    if request.param == "cookie":
        return RevocableCookieManager(
            Keyring([new_key()]), names=["session"], store=MemoryStore(clock=clock), clock=clock
        )
    at_once = request.param == "at once"
    return Manager(MemoryStore(clock=clock) if at_once else FileStore(tmp_path / "kept", clock=clock), clock=clock)


@pytest.mark.parametrize("way", ["logout", "revoke", "revoke all"])
@pytest.mark.parametrize("user", ["bob", "ada"])
def test_a_login_whose_session_ends_meanwhile_is_never_answered_with_nothing(
    manager: Manager | RevocableCookieManager, clock: FakeClock, user: str, way: str
) -> None:
    """Another user's begins a session; the same user's is refused, and repeated it begins one."""
    first = begin(manager, "ada")
    cookie = first.state.stored.value  # type: ignore[union-attr]  # it is stored
    login = Request(manager, cookie)
    login.bind(user)
    if way == "logout":
        other = Request(manager, cookie)
        other.destroy()
        other.commit()
    elif way == "revoke":
        manager.revoke(str(first.handle))
    else:
        manager.revoke_all("ada")
    if user == "ada":
        with pytest.raises(LoginEnded, match="during the login: repeat it"):
            login.commit()
        clock.advance_ms(1)
        login = Request(manager, cookie)
        login.bind(user)
    assert login.commit().cookie is CookieAction.SEND
    assert login.state.stored is not None
    assert manager.still_valid(login.state.stored.value)
    assert not manager.still_valid(cookie)
