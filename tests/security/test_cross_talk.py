"""No request sees what belongs to another, however they overlap and wherever one is broken off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from security import planted_cross_talk as planted
from security.rows import advisory
from security.steps import WebOn, signed_in, who
from support.keyspace import prefix_of
from support.sql import url_of

from holdfast.flask import session
from holdfast.testing import Fault, Link


@advisory(
    "CVE-2026-24894",
    product="FrankenPHP",
    cause="A worker that served many requests kept the session of one for the next.",
    mutants=[planted.remembers_the_last_visitor],
)
def test_nothing_is_left_for_the_next_request(place: str, web_on: WebOn) -> None:
    """After a user's request, a visitor with no cookie, or an invalid one, has an empty session."""
    web = web_on(place)
    browser = signed_in(web)
    for _ in range(2):
        assert who(web, browser) == "ada"
        assert web.data(web.app.test_client()) == {}
        assert web.data(web.with_token("nonsense")) == {}


@advisory(
    "CVE-2020-35681",
    product="Channels",
    cause="Concurrent requests shared a variable, and so a session.",
    mutants=[planted.has_one_session_at_a_time],
)
def test_requests_that_overlap_do_not_mix(place: str, web_on: WebOn) -> None:
    """Six users whose views run at the same time each read and save their own data."""
    web = web_on(place)
    users = [f"user {number}" for number in range(6)]
    browsers = {user: signed_in(web, user) for user in users}
    in_the_view = threading.Barrier(len(users))

    def request(user: str) -> Any:
        seen: list[Any] = []

        def view() -> None:
            seen.append(session.get("who"))
            in_the_view.wait(10)
            session["canary"] = user
            in_the_view.wait(10)
            seen.append(session["canary"])

        web.do(view, browsers[user])
        return seen

    with ThreadPoolExecutor(len(users)) as pool:
        assert list(pool.map(request, users)) == [[user, user] for user in users]
    assert {user: web.data(browser)["canary"] for user, browser in browsers.items()} == {user: user for user in users}


# --- requests that are broken off ------------------------------------------------------------------------------------


class BrokenOffError(BaseException):
    """Ends a request in the middle, as a worker's timeout does."""


class HeldLink(Link):
    """Holds one answer of the server back, breaks off who waits for it, and lets it come with the next request."""

    def __init__(self, server: tuple[str, int] | str) -> None:
        super().__init__(server)
        self._armed = False
        self._next_request = threading.Event()

    def arm(self) -> None:
        """Hold the next answer."""
        self._next_request.clear()
        self._armed = True

    def _strike(self, loss: Fault) -> Fault | None:
        if loss is Fault.REQUEST_LOST:
            if not self._armed:
                self._next_request.set()
        elif self._armed:
            self._armed = False
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            self._next_request.wait(5)
        return super()._strike(loss)


@contextmanager
def _raising_on_signal() -> Iterator[None]:
    def raise_it(*_: object) -> None:
        raise BrokenOffError

    before = signal.signal(signal.SIGUSR1, raise_it)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _url_through(link: Link, place: str, server: Any, folder: Path) -> str:
    kind = place.partition(":")[0]
    if kind == "unix" or kind.startswith("redis"):
        return f"redis://127.0.0.1:{link.port}/0?prefix={prefix_of(folder)}"
    if kind == "mongodb":
        return f"mongodb://127.0.0.1:{link.port}/tests.{prefix_of(folder).strip(':')}"
    if kind == "memcached":
        return f"memcached://127.0.0.1:{link.port}"
    return url_of(server, port=link.port, database=place.rpartition("/")[2])


def _open(seen: list[Any]) -> None:
    seen.append(session.get("who"))


@advisory(
    "CVE-2023-28858",
    "CVE-2023-28859",
    product="redis-py",
    cause="An aborted command left its answer on the connection, for the next caller to read.",
    mutants=[planted.leaves_the_answer_on_the_connection],
)
@pytest.mark.kinds("redis", "memcached", "mongodb", "mariadb", "postgresql")
def test_a_request_that_is_broken_off_leaves_no_answer_behind(
    place: str, web_on: WebOn, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """After a request was aborted while it waited for the server, all users still get their own sessions."""
    kind = request.node.callspec.id.partition("-")[0]
    server = request.getfixturevalue(f"{kind if not kind.startswith('mutant') else 'redis'}_server")
    with closing(HeldLink(server.address)) as link, _raising_on_signal():
        web = web_on(_url_through(link, place, server, tmp_path), PROPAGATE_EXCEPTIONS=False)
        browsers = {user: signed_in(web, user) for user in ("ada", "bob", "carol")}
        for _ in range(3):
            link.arm()
            with pytest.raises(BrokenOffError):
                web.do(partial(_open, []), browsers["ada"])
            for user in ("bob", "carol", "ada"):
                seen: list[Any] = []
                response = web.do(partial(_open, seen), browsers[user])
                assert (response.status_code, seen) == (200, [user])
