"""Logins whose last steps fail: the user is not signed out by it, and no session is left that nobody has."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import Web, cookies_set

from holdfast.flask import session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock, StoreWrapper

CONFIG: dict[str, Any] = {"PROPAGATE_EXCEPTIONS": False}


class InSteps(StoreWrapper):
    """A store that rotates in steps."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(MemoryStore(clock=clock))
        del self.move  # type: ignore[attr-defined]


@pytest.fixture(params=[MemoryStore, InSteps], ids=["at once", "in steps"])
def web(request: pytest.FixtureRequest) -> Web:
    """Return an application with a limit of two sessions, where ada is signed in."""
    inner = (lambda clock: MemoryStore(clock=clock)) if request.param is MemoryStore else InSteps
    web = Web(inner, SESSION_MAX_PER_USER=2, **CONFIG)
    web.do(lambda: session.bind("ada"))
    web.put(cart=[1])
    return web


def then_fails(web: Web, action: Any, operation: str, times: float) -> Any:
    """Return a view that does *action*, and whose later calls of *operation* fail *times* times."""

    def view() -> None:
        action()
        web.failing.fail(operation, times=times)

    return view


def sign_in() -> None:
    """Sign ada in."""
    session.bind("ada")


@pytest.mark.parametrize("operation", ["load", "find"])
def test_a_failure_after_the_move_costs_nothing(web: Web, operation: str) -> None:
    """One failure of the cut-off's look-up, or of the count, after a signed-in user's login: 200, signed in."""
    assert web.do(then_fails(web, sign_in, operation, 1)).status_code == 200
    assert web.data() == {"cart": [1]}


@pytest.mark.parametrize("operation", ["load", "find"])
def test_an_outage_after_the_move_sends_the_cookie_with_the_503(web: Web, operation: str) -> None:
    """If the failure lasts, the answer is 503 with the new token, and the session goes on afterwards, finished."""
    response = web.do(then_fails(web, sign_in, operation, float("inf")))
    assert (response.status_code, len(cookies_set(response))) == (503, 1)
    web.failing.heal()
    assert web.data() == {"cart": [1]}
    assert web.calls(lambda: session.get("cart")) == {"load": 1}
    assert [info.handle for info in web.sessions.of("ada")] == [web.see(lambda: session.handle)]


def test_a_cut_off_during_the_outage_ends_the_login(web: Web) -> None:
    """A login that could not look for the cut-off is over at its next request if there was one."""
    web.do(then_fails(web, sign_in, "load", float("inf")))
    web.failing.heal()
    browser = web.twin()
    web.sessions.revoke_all("ada")
    assert web.data(browser) == {}
    assert web.data() == {}


def test_a_cut_off_that_no_listing_followed_ends_the_login(web: Web) -> None:
    """The same if the end of all sessions wrote its cut-off while the login was between its steps, and saw no more."""

    def view() -> None:
        sign_in()
        web.sessions.revoke_all("ada")
        web.failing.fail("load", times=float("inf"))

    web.do(view)
    web.failing.heal()
    assert web.data() == {}


@pytest.mark.parametrize("operation", ["load", "find"])
@pytest.mark.parametrize("policy", ["evict-oldest", "refuse"])
def test_never_three_at_rest_for_a_limit_of_two(web: Web, operation: str, policy: str) -> None:
    """A first login whose last steps fail leaves no session behind, and the next one succeeds."""
    web.app.config["SESSION_ON_MAX_PER_USER"] = policy
    new = web.app.test_client()
    web.put(new, visitor=True)
    fresh = web.app.test_client()
    response = web.do(then_fails(web, sign_in, operation, float("inf")), fresh)
    web.failing.heal()
    assert response.status_code == 503
    assert not cookies_set(response)
    assert len(web.sessions.of("ada")) == 1
    assert web.do(sign_in, fresh).status_code == 200
    web.do(then_fails(web, sign_in, operation, float("inf")), new)
    web.failing.heal()
    web.data(new)
    assert len(web.sessions.of("ada")) == 2


def test_an_unfinished_login_does_not_count_before_its_token_is_presented(web: Web) -> None:
    """With the policy to refuse, a login that was left unfinished, whose response got lost, keeps nobody out."""
    web.app.config.update(SESSION_ON_MAX_PER_USER="refuse", SESSION_MAX_PER_USER=1)
    web.do(then_fails(web, sign_in, "load", float("inf")), web.twin())
    web.failing.heal()
    assert web.do(sign_in, web.app.test_client()).status_code == 200
