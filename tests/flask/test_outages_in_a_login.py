"""The store fails from some call of a login or a rotation on, for longer than any repetition: one id works then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask_login import LoginManager, UserMixin, current_user, login_user
from support.web import STRANGER, Web, cookies_set, rotate

from holdfast.contrib.impersonation import impersonate, stop_impersonating
from holdfast.errors import StoreUnavailable
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.testing import FakeClock, StoreWrapper

#: More calls than a login makes.
_MOST = 40


class DownAfter(StoreWrapper):
    """A store that is down after so many *calls*. The first one that fails is *applied*, or not."""

    def __init__(self, clock: FakeClock, *, stepwise: bool) -> None:
        super().__init__(MemoryStore(clock=clock))
        self.calls = math.inf
        self.applied = False
        if stepwise:
            del self.move  # type: ignore[attr-defined]

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Carry the call out while the store is up."""
        self.calls -= 1
        if self.calls >= 0:
            return call()
        if self.calls == -1 and self.applied:
            call()
        raise StoreUnavailable(f"a test took the store down before {operation!r} was answered")


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


def sign_in() -> None:
    """Sign ada in."""
    session.bind("ada")


def revoke_others() -> None:
    """End ada's other sessions."""
    session.revoke_others()


def handles(web: Web) -> list[str]:
    """Return the handles of ada's sessions."""
    return [info.handle for info in web.sessions.of("ada")]


@pytest.fixture(params=[False, True], ids=["at once", "in steps"])
def outages(request: pytest.FixtureRequest) -> Callable[..., Iterator[tuple[Web, int]]]:
    """Return a generator of applications in which *action* met an outage at each of its calls, with its status.

    Each is made by *begin*, and the store is up again.
    """

    def outages(begin: Callable[[Web], object], action: Callable[[], object], **config: Any) -> Iterator[Any]:
        for applied in (False, True):
            for number in range(_MOST):
                web = Web(lambda clock: DownAfter(clock, stepwise=request.param), PROPAGATE_EXCEPTIONS=False, **config)
                begin(web)
                web.memory.calls, web.memory.applied = number, applied
                status = web.do(action).status_code
                is_over, web.memory.calls = web.memory.calls >= 0, math.inf
                assert status == 200 if is_over else status in (200, 503)
                yield web, status
                if is_over:
                    break
            else:
                raise AssertionError("the action makes more calls")

    return outages


def visit(web: Web) -> None:
    """Begin a visitor's session."""
    web.put(cart=[1])


def ada_visits(web: Web) -> None:
    """Sign ada in, and keep something of hers."""
    web.do(sign_in)
    web.put(cart=[1])


@pytest.mark.parametrize("begin", [visit, ada_visits])
def test_a_login(outages: Any, begin: Callable[[Web], object]) -> None:
    """The data is there under one id, signed in or not, and the user's list has no session that nobody has."""
    for web, status in outages(begin, sign_in):
        assert web.data() == {"cart": [1]}
        handle, owner = web.see(lambda: (session.handle, session.owner))
        assert owner is not None or (status == 503 and begin is visit)
        assert handles(web) == ([] if owner is None else [handle])


@pytest.mark.parametrize("policy", ["evict-oldest", "refuse"])
def test_a_first_login_under_a_limit(outages: Any, policy: str) -> None:
    """The user signs in again at once, also where only one session may be, and has one session."""
    config = {"SESSION_MAX_PER_USER": 1, "SESSION_ON_MAX_PER_USER": policy}
    for web, _ in outages(lambda web: None, sign_in, **config):
        assert web.do(sign_in).status_code == 200
        assert handles(web) == [web.see(lambda: session.handle)]


@pytest.mark.parametrize("action", [rotate, revoke_others], ids=["rotate", "revoke others"])
def test_a_rotation(outages: Any, action: Callable[[], object]) -> None:
    """The user stays signed in, under one id."""
    for web, _ in outages(ada_visits, action):
        assert web.data() == {"cart": [1]}
        assert handles(web) == [web.see(lambda: session.handle)]


def test_impersonation(outages: Any) -> None:
    """The operator is the user, or is still the operator, and gets back."""
    for web, status in outages(ada_visits, lambda: impersonate("bob")):
        is_bob = web.data() != {"cart": [1]}
        assert is_bob or status == 503
        if is_bob:
            assert web.do(stop_impersonating).status_code == 200
        assert web.data() == {"cart": [1]}


def test_the_end_of_all_sessions_meanwhile(outages: Any) -> None:
    """What was stored during the outage is over at its first request if all of the user's sessions ended in between."""
    for web, _ in outages(ada_visits, sign_in):
        twin = web.twin()
        web.sessions.revoke_all("ada")
        assert web.data() == {}
        assert web.data(twin) == {}


def test_the_end_of_all_sessions_between_its_steps() -> None:
    """A cut-off that was written while the login was between its steps covers it, though no listing found it."""
    web = Web(lambda clock: DownAfter(clock, stepwise=False), PROPAGATE_EXCEPTIONS=False)
    visit(web)

    def view() -> None:
        sign_in()
        web.do(lambda: str(web.sessions.revoke_all("ada")), web.app.test_client())
        web.memory.calls = 1  # for the move

    assert web.do(view).status_code == 503
    web.memory.calls = math.inf
    assert handles(web)
    assert web.data() == {}
    assert handles(web) == []


def test_the_cookie_heals(outages: Any) -> None:
    """The next page replaces the two tokens by the one of the session, also in a signed cookie."""
    for signer in (False, True):
        for web, _ in outages(visit, sign_in, SESSION_USE_SIGNER=signer):
            before = str(web.token())
            response = web.do(lambda: session.get("cart"), headers={"Sec-Fetch-Mode": "navigate"})
            assert bool(cookies_set(response)) == ("~" in before)
            assert "~" not in str(web.token())
            assert web.data() == {"cart": [1]}


def test_the_cookie_is_valid_without_a_request(outages: Any) -> None:
    """`still_valid` follows both tokens: an outage is no logout, of a user or of a visitor."""
    for web, _ in outages(visit, sign_in):
        assert web.sessions.still_valid(web.token() or "")
        web.do(log_out)
        assert not web.sessions.still_valid(web.token() or "")


def log_out() -> None:
    """Log out."""
    session.destroy()


def test_a_cache_that_did_not_see_the_login(outages: Any) -> None:
    """Another process, whose cache still has the session under the old token, does not end it under the new one."""
    caches: list[Web] = []

    def seen_elsewhere(web: Web) -> None:
        visit(web)
        caches.append(Web(lambda _: NearCache(web.memory, staleness=10_000, clock=web.clock)))
        assert caches[-1].data(caches[-1].with_token(web.token())) == {"cart": [1]}

    for web, _ in outages(seen_elsewhere, sign_in):
        other = caches.pop()
        other.data(other.with_token(web.token()))
        assert web.data() == {"cart": [1]}


def two_sessions() -> tuple[Web, str, str]:
    """Return an application, and the tokens of two live sessions of ada's."""
    web = Web()
    ada_visits(web)
    first = web.token() or ""
    web.browser = web.app.test_client()
    ada_visits(web)
    return web, first, web.token() or ""


def test_values_made_by_hand_end_nothing() -> None:
    """A request with one token twice, or with two of which both are valid, ends no session without a word."""
    web, first, second = two_sessions()
    web.take_heard()
    assert web.data(web.with_token(f"{first}~{first}~0")) == {}
    assert web.reasons() == ["malformed"]
    assert web.data(web.with_token(f"{first}~{second}~0")) == {"cart": [1]}
    assert [web.data(web.with_token(token)) for token in (first, second)] == [{"cart": [1]}] * 2


def test_a_token_that_cannot_be_judged_keeps_its_cookie() -> None:
    """A server without the key of the old token's record does not let a response replace the cookie: others have it."""
    shared = MemoryStore()
    web, other = (Web(lambda _: shared, SESSION_SEAL="cookie", SESSION_SEAL_KEYS=[new_key()]) for _ in range(2))
    visit(web)
    twin = other.with_token(f"{web.token()}~{STRANGER}~1")
    assert not cookies_set(other.put(twin, cart=[2]))
    assert other.reasons() == ["unknown_key"]


class DownFor(DownAfter):
    """A store that is down for *length* calls, and up again before the request ends."""

    length = math.inf

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Carry the call out unless the store is down."""
        if self.calls <= -self.length:
            return call()
        return super().around(operation, call)


@pytest.mark.parametrize("length", [2, 3, 4])
@pytest.mark.parametrize("begin", [visit, ada_visits])
@pytest.mark.parametrize("stepwise", [False, True])
def test_an_outage_that_ends_within_the_login(length: int, begin: Callable[[Web], object], *, stepwise: bool) -> None:
    """The data is not lost either where the store is back for the last calls of the login."""
    for number in range(_MOST):
        web = Web(lambda clock: DownFor(clock, stepwise=stepwise), PROPAGATE_EXCEPTIONS=False)
        begin(web)
        web.memory.length, web.memory.calls = length, number
        web.do(sign_in)
        is_over, web.memory.calls = web.memory.calls >= 0, math.inf
        assert web.data() == {"cart": [1]}
        handle, owner = web.see(lambda: (session.handle, session.owner))
        assert handles(web) == ([] if owner is None else [handle])
        if is_over:
            break


@pytest.mark.parametrize("length", [2, 3, 4, math.inf])
@pytest.mark.parametrize("applied", [False, True])
def test_a_login_by_a_remember_me_cookie(length: float, *, applied: bool) -> None:
    """The next request has a session at once, and what it stores is kept, also for a parallel request."""

    def write() -> None:
        session["seen"] = str(current_user.get_id())

    for number in range(_MOST):
        web = Web(lambda clock: DownFor(clock, stepwise=False), PROPAGATE_EXCEPTIONS=False)
        LoginManager(web.app).user_loader(User)
        web.do(lambda: str(login_user(User("ada"), remember=True)))
        web.browser.delete_cookie("session")
        web.memory.length, web.memory.calls, web.memory.applied = length, number, applied
        web.do(lambda: str(current_user.get_id()))
        is_over, web.memory.calls = web.memory.calls >= 0, math.inf
        other = web.twin()
        for cookie in (web.browser.get_cookie(name) for name in ("remember_token", "remember_token_issued")):
            assert cookie is not None
            other.set_cookie(cookie.key, cookie.value)
        web.do(write, other)
        assert web.do(lambda: str(current_user.get_id())).text == "ada"  # joins the session at its end
        assert web.data().get("seen") == "ada"
        assert len(handles(web)) == 2
        if is_over:
            break


@pytest.mark.parametrize("length", [2, 3, 4, math.inf])
@pytest.mark.parametrize("stepwise", [False, True])
def test_another_users_login(length: float, *, stepwise: bool) -> None:
    """No session is left in anybody's list that nobody has, whoever is signed in afterwards."""
    for number in range(_MOST):
        web = Web(lambda clock: DownFor(clock, stepwise=stepwise), PROPAGATE_EXCEPTIONS=False)
        ada_visits(web)
        web.memory.length, web.memory.calls = length, number
        status = web.do(lambda: session.bind("bob")).status_code
        is_over, web.memory.calls = web.memory.calls >= 0, math.inf
        owner = web.see(lambda: session.owner)
        assert owner is not None or status == 503
        assert len(handles(web)) + len(web.sessions.of("bob")) == (owner is not None)
        if is_over:
            break
