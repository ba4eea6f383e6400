"""Renewal of tokens: the old token leads on until a browser presents the new one."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import Web, cookies_set, end

from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock, StoreWrapper

RENEWAL: dict[str, Any] = {"SESSION_RENEWAL_INTERVAL": 300, "SESSION_ROTATION_GRACE": 30}
COOKIE: dict[str, Any] = {"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [new_key()]}


class InSteps(StoreWrapper):
    """A store that rotates in steps."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(MemoryStore(clock=clock))
        del self.move  # type: ignore[attr-defined]


MAKERS = {
    "at once": lambda: Web(**RENEWAL),
    "in steps": lambda: Web(InSteps, **RENEWAL),
    "sealed": lambda: Web(**RENEWAL, SESSION_SEAL="cookie", SESSION_SEAL_KEYS=[new_key()]),
    "cookie": lambda: Web(setting="SESSION_REVOCATION_STORE", **COOKIE, **RENEWAL),
}
STORED = [name for name in MAKERS if name != "cookie"]


@pytest.fixture
def web(request: pytest.FixtureRequest) -> Web:
    """Return an application that renews tokens every five minutes, and whose browser has a session for that long."""
    web = MAKERS[request.param]()
    web.do(lambda: session.bind("ada"))
    web.put(cart=[1])
    web.clock.advance(300)
    return web


on_all = pytest.mark.parametrize("web", MAKERS, indirect=True)
on_stored = pytest.mark.parametrize("web", STORED, indirect=True)


def read() -> None:
    """Use the session."""
    session.get("cart")


@on_all
def test_a_renewal_whose_response_is_lost(web: Web) -> None:
    """Hours after a renewed token got lost, the old one still opens the session, and is renewed again."""
    lost, old = web.twin(), web.token()
    assert cookies_set(web.do(read, lost))
    for _ in range(5):
        web.clock.advance(3600)
        copy = web.with_token(old)
        assert web.data(copy) == {"cart": [1]}
        assert web.token(copy) not in {None, old}
    assert web.data() == {"cart": [1]}
    assert web.data(lost) == {"cart": [1]}
    assert len(web.sessions.of("ada")) == 1 if web.app.config["SESSION_STORE"] != "cookie://" else True


@on_all
def test_the_old_token_is_valid_for_the_grace_period_once_the_new_one_is_presented(web: Web) -> None:
    """A parallel request still has 30 seconds from the first use of the new token on; then its token is unknown."""
    late = web.token()
    web.do(read)
    web.clock.advance(100)
    web.do(read)
    web.clock.advance(29)
    assert web.data(web.with_token(late)) == {"cart": [1]}
    web.clock.advance(1)
    assert web.data(web.with_token(late)) == {}
    assert web.data() == {"cart": [1]}


@on_all
@pytest.mark.parametrize("presented", [True, False])
@pytest.mark.parametrize("under_old", [True, False])
def test_a_logout_ends_the_session_under_both_tokens(web: Web, *, under_old: bool, presented: bool) -> None:
    """Whichever of two tokens a logout comes with, and whether or not the new one was used, neither opens a session."""
    old = web.twin()
    web.do(read)
    if presented:
        web.do(read)
    old_token, new_token = web.token(old), web.token()
    web.do(end, old if under_old else web.browser)
    assert web.data(web.with_token(old_token)) == {}
    assert web.data(web.with_token(new_token)) == {}


@on_all
@pytest.mark.parametrize("kept", ["old", "new"])
def test_revoke_others_keeps_the_session_of_either_token(web: Web, kept: str) -> None:
    """While the renewed token is on its way, the session that ends the others is kept, whichever token it used."""
    old = web.twin()
    web.do(read)
    web.clock.advance(1)
    browser = old if kept == "old" else web.browser
    web.do(lambda: session.revoke_others(), browser)  # noqa: PLW0108  # bound in the request only
    assert web.data(browser) == {"cart": [1]}


@on_all
def test_a_login_supersedes_both_tokens(web: Web) -> None:
    """After a login under the new token, neither the old token nor the renewed one opens a session."""
    old = web.token()
    web.do(read)
    new = web.token()
    web.do(lambda: session.bind("ada"))
    assert web.data(web.with_token(old)) == {}
    assert web.data(web.with_token(new)) == {}
    assert web.data() == {"cart": [1]}


@on_stored
def test_a_long_request_keeps_its_changes(web: Web) -> None:
    """A request of 50 minutes, during which the token is renewed, stores what it changed."""
    slow = web.twin()

    def view() -> None:
        session["cart"].append(2)
        web.do(read)
        web.do(read)
        web.clock.advance(3000)
        session.apply("hits", lambda hits: hits + 1, 0)

    assert cookies_set(web.do(view, slow))
    assert web.token(slow) == web.token()
    assert web.data() == {"cart": [1, 2], "hits": 1}


@on_stored
def test_an_outage_longer_than_the_grace_period_after_a_lost_renewal(web: Web) -> None:
    """The store renews, its answer is lost and it is down for ten minutes: 503, and then the session goes on."""
    web.app.config["PROPAGATE_EXCEPTIONS"] = False

    def view() -> None:
        read()
        web.failing.fail("move", "replace", before=False)
        web.failing.fail("load", times=float("inf"))

    assert web.do(view).status_code == 503
    web.clock.advance(600)
    web.failing.heal()
    assert web.data() == {"cart": [1]}


def test_the_first_use_of_a_renewed_token_costs_three_calls() -> None:
    """The alias is read and shortened, and the mark in the record removed: once for each renewal."""
    web = MAKERS["at once"]()
    web.put(cart=[1])
    web.clock.advance(300)
    assert web.calls(read) == {"load": 1, "move": 1}
    assert web.calls(read) == {"load": 2, "replace": 2}
    assert web.calls(read) == {"load": 1}


def test_what_leads_from_an_old_token_to_the_new_one_does_not_stay() -> None:
    """An hour and the grace period after the new token was presented, the record under the old key is removed."""
    web = MAKERS["at once"]()
    web.put(cart=[1])
    web.clock.advance(300)
    web.do(read)
    web.do(read)
    assert web.records() == 2
    web.clock.advance(3600 + 30 + 60)
    assert web.sessions.purge() == 1
    assert web.data() == {"cart": [1]}


def test_reads_in_parallel_after_a_renewal_are_no_conflict() -> None:
    """With ``SESSION_ON_CONFLICT="error"``, two reads that are the first with a renewed token are both answered."""
    web = Web(**RENEWAL, SESSION_ON_CONFLICT="error")
    web.put(cart=[1])
    web.clock.advance(300)
    web.do(read)
    twin = web.twin()

    def view() -> None:
        read()
        assert web.do(read, twin).status_code == 200
        web.put(twin, wish=1)

    assert web.do(view).status_code == 200
    assert web.data() == {"cart": [1], "wish": 1}
