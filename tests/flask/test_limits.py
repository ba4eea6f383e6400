"""How many sessions a user may have at once: SESSION_MAX_PER_USER, in a live application."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.web import Web, cookies_set, end

from holdfast import ConfigurationError, TooManySessions
from holdfast.flask import Session, session
from holdfast.records.encryption import new_key
from holdfast.stores.contract import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store

MANY = 50


def sign_in(web: Web, name: str = "ada", browser: FlaskClient | None = None) -> FlaskClient:
    """Sign *name* in, in a browser of its own unless one is given, and return the browser."""
    browser = browser or web.app.test_client()
    web.clock.advance(1)
    web.do(lambda: session.bind(name), browser)
    return browser


def signed_in(web: Web, *browsers: FlaskClient) -> list[bool]:
    """Return of each browser whether somebody is signed in there."""
    return [web.see(lambda: session.owner, browser) is not None for browser in browsers]


@pytest.fixture(params=[pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED])
def limited(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Return a function that makes an application with a limit on each kind of store that keeps an index."""
    url = url_of_kind(request.param, request, tmp_path)
    made: list[Web] = []

    def make(**config: Any) -> Web:
        made.append(Web(lambda clock: open_store(url, clock=clock), **config))
        return made[-1]

    yield make
    for web in made:
        if isinstance(web.memory, Closes):
            web.memory.close()


def at_once(web: Web, number: int) -> list[int]:
    """Sign Ada in in so many browsers at the same moment, and return the statuses."""
    path = web.path(lambda: session.bind("ada"))
    together = threading.Barrier(number)

    def visit(_: int) -> int:
        browser = web.app.test_client()
        together.wait()
        return browser.get(path).status_code

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(visit, range(number)))


def test_the_oldest_gives_way(limited: Callable[..., Web]) -> None:
    """A login above the limit ends the least recently used session, and emits that."""
    web = limited(SESSION_MAX_PER_USER=2, PERMANENT_SESSION_LIFETIME=600)
    first, second = sign_in(web), sign_in(web)
    bob = sign_in(web, "bob")
    web.clock.advance(120)
    web.data(first)
    web.take_heard()
    third = sign_in(web)
    assert web.reasons("ended") == ["evicted"]
    assert signed_in(web, first, second, third, bob) == [True, False, True, True]


def test_a_login_that_is_refused(limited: Callable[..., Web]) -> None:
    """With ``refuse`` a login that would be one too many is answered 409, leaves no record and sends no cookie."""
    web = limited(SESSION_MAX_PER_USER=2, SESSION_ON_MAX_PER_USER="refuse")
    browsers = [sign_in(web), sign_in(web)]
    records = web.records()
    response = web.do(lambda: session.bind("ada"), web.app.test_client())
    assert response.status_code == 409
    assert not cookies_set(response)
    assert web.records() == records
    assert signed_in(web, *browsers) == [True, True]


@pytest.mark.parametrize("limit", [1, 5])
def test_many_logins_at_once(limited: Callable[..., Web], limit: int) -> None:
    """Of fifty logins at the same moment exactly as many stay as there may be."""
    web = limited(SESSION_MAX_PER_USER=limit)
    at_once(web, MANY)
    assert len(web.sessions.of("ada")) == limit
    last = sign_in(web)
    assert signed_in(web, last) == [True]


def test_many_refused_logins_at_once(limited: Callable[..., Web]) -> None:
    """Of fifty logins at the same moment no more than there may be get in, and who was refused has no record."""
    web = limited(SESSION_MAX_PER_USER=3, SESSION_ON_MAX_PER_USER="refuse")
    before = sign_in(web)
    statuses = at_once(web, MANY)
    assert set(statuses) <= {200, 409}
    assert statuses.count(200) == len(web.sessions.of("ada")) - 1 <= 2
    assert signed_in(web, before) == [True]


# --- on one store ----------------------------------------------------------------------------------------------------


def test_there_is_no_limit_by_default(web: Web) -> None:
    """Without the setting a user may have any number of sessions, and a login costs no more for it."""
    for _ in range(20):
        sign_in(web)
    assert len(web.sessions.of("ada")) == 20
    assert web.calls(lambda: session.bind("ada"), web.app.test_client()) == {"create": 1, "load": 1}


def test_what_a_limit_costs() -> None:
    """With a limit a login costs one more call, for the list of the user's sessions; nothing else costs more."""
    web = Web(SESSION_MAX_PER_USER=5)
    here, _ = sign_in(web), sign_in(web)
    assert web.calls(lambda: session.bind("ada"), web.app.test_client()) == {"create": 1, "load": 1, "find": 1}
    assert web.calls(lambda: session.update(a=1), here) == {"load": 1, "replace": 1}


@pytest.mark.parametrize("policy", ["evict-oldest", "refuse"])
def test_the_same_session_signs_in_again(policy: str) -> None:
    """A login in a session that is the user's already takes no other's place and is not refused."""
    web = Web(SESSION_MAX_PER_USER=2, SESSION_ON_MAX_PER_USER=policy)
    here, there = sign_in(web), sign_in(web)
    sign_in(web, browser=here)
    assert signed_in(web, here, there) == [True, True]


def test_a_refused_login_leaves_the_visitor_s_session() -> None:
    """A visitor whose login is refused keeps the cart, under the id it had."""
    web = Web(SESSION_MAX_PER_USER=1, SESSION_ON_MAX_PER_USER="refuse")
    sign_in(web)
    web.put(cart=[1])
    token = web.token()
    assert web.do(lambda: session.bind("ada")).status_code == 409
    assert web.token() == token
    assert web.data() == {"cart": [1]}


def test_after_a_logout_there_is_room() -> None:
    """A logout, or an expired session, makes room."""
    web = Web(SESSION_MAX_PER_USER=1, SESSION_ON_MAX_PER_USER="refuse", PERMANENT_SESSION_LIFETIME=600)
    first = sign_in(web)
    web.do(end, first)
    second = sign_in(web)
    assert signed_in(web, second) == [True]
    web.clock.advance(601)
    assert signed_in(web, sign_in(web)) == [True]


def test_the_application_may_answer_itself() -> None:
    """An application's own error handler answers a refused login, and gets the limit."""
    web = Web(SESSION_MAX_PER_USER=1, SESSION_ON_MAX_PER_USER="refuse")
    web.app.register_error_handler(TooManySessions, lambda error: (f"{error.limit} is the most", 403))
    sign_in(web)
    response = web.do(lambda: session.bind("ada"), web.app.test_client())
    assert (response.status_code, response.text) == (403, "1 is the most")


def test_a_lower_limit_holds_from_the_next_login_on() -> None:
    """A limit that is lowered while the application runs ends as many as are too many at the next login."""
    web = Web(SESSION_MAX_PER_USER=5)
    browsers = [sign_in(web) for _ in range(5)]
    web.app.config["SESSION_MAX_PER_USER"] = 2
    assert signed_in(web, *browsers) == [True] * 5
    last = sign_in(web)
    assert signed_in(web, *browsers, last) == [False] * 4 + [True, True]


def test_an_evicted_session_does_not_come_back() -> None:
    """A request in progress in a session that a login evicts saves no change and sends no cookie."""
    web = Web(SESSION_MAX_PER_USER=1)
    here = sign_in(web)

    def view() -> None:
        session.get("a")
        sign_in(web)
        session["a"] = 1

    assert not cookies_set(web.do(view, here))
    assert signed_in(web, here) == [False]
    assert len(web.sessions.of("ada")) == 1


def test_a_limit_needs_an_index(web: Web) -> None:
    """On a store that keeps no index a limit is an error at the start that names the setting and the fix."""

    class Bare:
        load = create = replace = touch = delete = lambda self: None

    app = web.app
    app.config.update(SESSION_STORE=Bare(), SESSION_MAX_PER_USER=3)
    with pytest.raises(ConfigurationError, match=r"SESSION_MAX_PER_USER is 3, but Bare keeps no index .* use a store"):
        Session(app)


@pytest.mark.parametrize("limit", [0, -1, True, "5", 2.5])
def test_what_is_no_limit(limit: object) -> None:
    """A limit is a whole number greater than 0."""
    with pytest.raises(
        ConfigurationError, match=r"SESSION_MAX_PER_USER is .*: it must be a whole number greater than 0"
    ):
        Web(SESSION_MAX_PER_USER=limit)


def test_what_is_no_policy() -> None:
    """The action at the limit is one of two words."""
    with pytest.raises(ConfigurationError, match="SESSION_ON_MAX_PER_USER is 'deny': it must be one of 'evict-oldest'"):
        Web(SESSION_ON_MAX_PER_USER="deny")


def test_logins_in_the_same_millisecond() -> None:
    """Logins in the same millisecond are ordered by their keys, so one of them stays."""
    web = Web(SESSION_MAX_PER_USER=1)
    browsers = [web.app.test_client() for _ in range(20)]
    for browser in browsers:
        web.do(lambda: session.bind("ada"), browser)
    assert sum(signed_in(web, *browsers)) == 1


@pytest.mark.parametrize("sealed", [{}, {"SESSION_SEAL": "cookie", "SESSION_SEAL_KEYS": new_key()}], ids=["", "sealed"])
def test_a_login_on_a_host_whose_clock_is_behind(limited: Callable[..., Web], sealed: dict[str, str]) -> None:
    """It is the latest all the same: it stays, and another session ends."""
    web = limited(SESSION_MAX_PER_USER=2, **sealed)
    first, second = sign_in(web), sign_in(web)
    web.clock.advance(-40)
    third = sign_in(web)
    assert sorted(signed_in(web, first, second)) == [False, True]
    assert signed_in(web, third) == [True]


def test_logins_at_once_on_hosts_whose_clocks_differ() -> None:
    """Exactly as many stay as the limit allows, and each of those got its cookie."""
    store = MemoryStore()
    hosts = [Web(lambda _: store, SESSION_MAX_PER_USER=1) for _ in range(2)]
    hosts[1].clock.advance(-40)
    browsers = [host.app.test_client() for host in hosts for _ in range(8)]
    paths = [host.path(lambda: session.bind("ada")) for host in hosts for _ in range(8)]
    together = threading.Barrier(len(browsers))

    def visit(browser: FlaskClient, path: str) -> int:
        together.wait()
        return browser.get(path).status_code

    with ThreadPoolExecutor(len(browsers)) as pool:
        list(pool.map(visit, browsers, paths))
    assert sum(signed_in(hosts[0], *browsers[:8]) + signed_in(hosts[1], *browsers[8:])) == 1
