"""A login with reads in flight: by order on the wire, the browser is left with the cookie of the login.

``HOLDFAST_TEST_LOGINS`` sets the number of logins of each kind: the default is 40.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.web import Web, cookies_set
from werkzeug.test import TestResponse

from holdfast.flask import session
from holdfast.records.record import Rotation
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.testing import FakeClock

LOGINS = int(os.environ.get("HOLDFAST_TEST_LOGINS", "40"))

#: What a browser sends with a request of a page's script.
OF_A_SCRIPT = {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}

QUARTER, DAY = 900, 24 * 3600

pytestmark = pytest.mark.timeout(60 + LOGINS)


class Uneven(MemoryStore):
    """A store whose calls take a random time, so that requests overtake each other."""

    def load(self, key: str, /) -> Any:
        return self._in_a_while(super().load, key)

    def replace(self, key: str, data: bytes, /, **named: Any) -> Any:
        return self._in_a_while(super().replace, key, data, **named)

    def touch(self, key: str, /, **named: Any) -> Any:
        return self._in_a_while(super().touch, key, **named)

    def move(self, rotation: Rotation, /) -> Any:
        return self._in_a_while(super().move, rotation)

    @staticmethod
    def _in_a_while(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        time.sleep(random.random() / 1000)
        answer = call(*arguments, **named)
        time.sleep(random.random() / 1000)
        return answer


def _permanent(**values: Any) -> None:
    session.permanent = True
    session.update(values)


def _read() -> None:
    time.sleep(random.choice((0, 0.002, 0.012)))
    session.get("a")


def _sign_in() -> None:
    session.bind("ada")
    session["user"] = "ada"


def _warm(others: Web, token: str | None) -> None:
    """Let the cache of *others* hold the session: the first read moves its life on."""
    for _ in range(2):
        others.do(lambda: session["a"], others.with_token(token), headers=OF_A_SCRIPT)


def _left_with(web: Web, age: int, others: Web | None = None) -> str | None:
    """Sign in with three reads in flight, *age* seconds after a visitor's session began; return who is signed in then.

    The reads go to *others*, if it is given. The browser takes the cookies in the order in which responses arrive.
    """
    web.do(lambda: _permanent(a=1))
    token, arrived, lock = web.token(), list[TestResponse](), threading.Lock()
    for each in {web, others or web}:
        each.clock.advance(age)
    if others is not None:
        _warm(others, token)
    paths = [(others or web, (others or web).path(_read), OF_A_SCRIPT)] * 3 + [(web, web.path(_sign_in), {})]
    start = threading.Barrier(len(paths))

    def send(site: Web, path: str, headers: dict[str, str]) -> None:
        browser = site.with_token(token)
        start.wait()
        response = browser.open(path, headers=headers)
        with lock:
            arrived.append(response)

    random.shuffle(paths)
    threads = [threading.Thread(target=send, args=each) for each in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for response in arrived:
        for header in cookies_set(response):
            token = header.partition("=")[2].partition(";")[0]
    browser = web.with_token(token)
    web.browser = web.app.test_client()
    user: str | None = web.see(lambda: session.get("user"), browser)
    return user


@pytest.fixture(params=["store", "near cache", "cookie", "revocable cookie"])
def site(request: pytest.FixtureRequest) -> Iterator[tuple[Web, Web | None]]:
    """Return an application, and another process of it for the reads, or None: the same."""
    if request.param == "cookie":
        yield Web(SESSION_STORE="cookie://"), None
    elif request.param == "revocable cookie":
        yield Web(_uneven, setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://"), None
    else:
        web = Web(_uneven)
        yield web, _behind_a_cache(web) if request.param == "near cache" else None


def _uneven(clock: FakeClock) -> Uneven:
    return Uneven(clock=clock)


def _behind_a_cache(web: Web) -> Web:
    return Web(lambda clock: NearCache(web.memory, staleness=10_000, clock=clock))


@pytest.mark.parametrize("age", [0, QUARTER, DAY])
def test_no_read_puts_the_old_cookie_back(site: tuple[Web, Web | None], age: int) -> None:
    """Three requests of a script in flight, however old the cookie is for a page load: the user stays signed in."""
    web, others = site
    assert [_left_with(web, age, others) for _ in range(LOGINS)] == ["ada"] * LOGINS


def test_a_stale_cache_sends_no_cookie() -> None:
    """A page load whose cookie is due, and whose session was replaced in another process, gets none."""
    web = Web()
    others = _behind_a_cache(web)
    web.do(lambda: _permanent(a=1))
    old = others.with_token(web.token())
    for each in (web, others):
        each.clock.advance(QUARTER)
    _warm(others, web.token())
    web.do(_sign_in)
    response = others.do(lambda: session["a"], old)
    assert response.status_code == 200
    assert not cookies_set(response)
