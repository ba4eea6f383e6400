"""Common problems of other session libraries, on each store that needs no server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.web import Web, attributes, cookies_set, end, rotate

from holdfast.flask import session
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock


@pytest.fixture(params=["memory://", "sqlite:///s.db", "file:///s", "json:///s.json"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Return a function that makes an application on each embedded store, by turns."""
    made: list[Web] = []

    def inner(clock: FakeClock) -> Any:
        return open_store(request.param, root=tmp_path, clock=clock)

    def make(**config: Any) -> Web:
        made.append(Web(inner, **config))
        return made[-1]

    yield make
    for web in made:
        getattr(web.memory, "close", lambda: None)()


@pytest.fixture
def web(make: Any) -> Web:
    """Return an application whose browser has a session, with all counts at 0."""
    web: Web = make()
    web.put(cart=[1])
    web.take_heard()
    return web


def test_store_calls(web: Web) -> None:
    """Untouched 0, read 1, write 2, first write 1, read with a touch due 2."""
    assert web.calls(lambda: None) == {}
    assert web.calls(lambda: session["cart"]) == {"load": 1}
    assert web.calls(lambda: session.update(a=1)) == {"load": 1, "replace": 1}
    assert web.calls(lambda: session.update(a=1), web.app.test_client()) == {"create": 1}
    web.clock.advance(4 * 24 * 3600)
    assert web.calls(lambda: session["cart"]) == {"load": 1, "touch": 1}


def test_two_writers_of_different_keys(web: Web) -> None:
    """Both keep theirs."""
    other = web.twin()

    def view() -> None:
        session["a"] = 1
        web.put(other, b=2)

    web.do(view)
    assert web.data() == {"cart": [1], "a": 1, "b": 2}


@pytest.mark.parametrize("change", [end, rotate, lambda: session.bind("ada")], ids=["logout", "rotate", "login"])
@pytest.mark.parametrize("late", [lambda: None, lambda: session.update(b=2), rotate], ids=["read", "write", "rotate"])
def test_a_slow_request_during_a_change_of_id(make: Any, change: Any, late: Any) -> None:
    """With any slow request, the ended or replaced id stays dead and no cookie is sent for it."""
    web = make(SESSION_PERMANENT=True)
    web.put(cart=[1])
    slow = web.twin()

    def view() -> None:
        session.get("cart")
        web.do(change)
        web.clock.advance(1)
        late()

    assert not cookies_set(web.do(view, slow))
    assert web.data(slow) == {}
    assert web.data() == ({} if change is end else {"cart": [1]})


def test_a_nested_change_without_refresh(make: Any) -> None:
    """An append inside the session is saved whatever the cookie's settings are."""
    web = make(SESSION_REFRESH_EACH_REQUEST=False)
    web.put(cart=[1])
    web.do(lambda: session["cart"].append(2))
    assert web.data() == {"cart": [1, 2]}


def test_a_host_cookie(make: Any) -> None:
    """It is set and deleted with the attributes that browsers insist on."""
    web = make(SESSION_COOKIE_NAME="__Host-s", SESSION_COOKIE_SECURE=True)
    request = {"base_url": "https://localhost/"}
    [begun] = cookies_set(web.do(lambda: session.update(a=1), **request), "__Host-s")
    [deleted] = cookies_set(web.do(end, **request), "__Host-s")
    for header in (begun, deleted):
        assert {"secure": None, "path": "/"}.items() <= attributes(header).items()


def test_an_outage(web: Web) -> None:
    """It is answered after one call, and the session is there afterwards."""
    with web.failing.outage():
        web.store.reset()
        assert web.do(lambda: session["cart"]).status_code == 503
        assert web.store.counts == {"load": 1}
    assert web.data() == {"cart": [1]}


def test_forty_live_sessions(web: Web) -> None:
    """All of them live, however many come after."""
    browsers = [web.app.test_client() for _ in range(40)]
    for number, browser in enumerate(browsers):
        web.put(browser, number=number)
    assert [web.data(browser)["number"] for browser in browsers] == list(range(40))


def test_a_user_s_sessions(web: Web) -> None:
    """They are listed and ended, all but the one that asks."""
    browsers = [web.app.test_client() for _ in range(3)]
    for browser in (web.browser, *browsers):
        web.do(lambda: session.bind("ada"), browser)
    assert len(web.sessions.of("ada")) == 4
    keep = web.see(lambda: session.handle)
    assert web.do(partial(web.sessions.revoke_all, "ada", keep=keep)).status_code == 200
    assert [info.handle for info in web.sessions.of("ada")] == [keep]


def test_two_factories_over_one_store() -> None:
    """Applications made one after the other over one store see the same sessions."""
    store = MemoryStore()
    one, two = (Web(SESSION_STORE=store) for _ in range(2))
    one.put(a=1)
    assert two.data(two.with_token(one.token())) == {"a": 1}
