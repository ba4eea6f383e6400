"""Stores that are down, silent or lose a connection: no user is signed in or out, and no lost write counts as done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bad_input import planted_outage as planted
from bad_input.answers import user
from bad_input.outages import BEFORE, VIEWS, assert_come_back, impatient, known, later
from security.rows import requirement
from security.steps import WebOn
from support import seams
from support.keyspace import prefix_of
from support.sql import url_of
from support.web import STRANGER, Web, cookies_set, end
from werkzeug.test import TestResponse

from holdfast.flask import session
from holdfast.testing import Fault, Link

NETWORK = ("redis", "memcached", "mongodb", "mariadb", "postgresql")

LENIENT = {"SESSION_ON_STORE_ERROR": "anonymous", "PROPAGATE_EXCEPTIONS": False}


def names_for(place: str) -> list[str]:
    """Return the views to try: fewer where the driver waits after each fault before it connects again."""
    return ["read", "write"] if place.startswith("mongodb") else list(VIEWS)


def assert_true(name: str, web: Web, token: str, response: TestResponse, browser: Any) -> None:
    """Assert that what the answer to the view *name* says is so, although the connection was lost in it.

    After a 503 the write was done completely or not at all. Any other status means that it was done.
    """
    after = later(web, token)
    if response.status_code == 503:
        assert_come_back(response, name)
        done: dict[str, Any] | None = {} if name in ("rotate", "login", "logout") else None
        assert after in (BEFORE, done) or {**after, "cart": [1]}.items() >= BEFORE.items(), name
        return
    assert response.status_code == 200, name
    now = later(web, web.token(browser) or "")
    if name == "logout":
        assert (after, now) == ({}, {})
    elif name in ("rotate", "login"):
        assert now.items() >= BEFORE.items(), name
        assert web.token(browser) != token or name == "login", name
    elif name != "read":
        assert now != BEFORE, name


@contextmanager
def linked(request: pytest.FixtureRequest, place: str, folder: Path, **options: Any) -> Iterator[tuple[Link, str]]:
    """Give a port that leads to the server of *place* and can be disturbed, and the store's URL there."""
    kind = place.partition(":")[0].partition("+")[0].replace("unix", "redis").replace("mysql", "mariadb")
    server = request.getfixturevalue(f"{kind}_server")
    with closing(Link(server.address)) as link:
        host = f"127.0.0.1:{link.port}"
        if kind == "redis":
            yield link, f"redis://{host}/0?prefix={prefix_of(folder)}&timeout=1&connect_timeout=1"
        elif kind == "memcached":
            yield link, f"memcached://{host}?timeout=1"
        elif kind == "mongodb":
            name = f"tests.{prefix_of(folder).strip(':')}"
            yield link, f"mongodb://{host}/{name}?timeoutMS=300&serverSelectionTimeoutMS=100"
        else:
            url = url_of(server, port=link.port, database=place.rpartition("/")[2])
            yield link, impatient(url) if kind == "mariadb" else url


@requirement(
    "Catalogue F",
    says="A store that refuses connections signs no one in or out, and no write is reported as done.",
    mutants=[
        planted.an_outage_is_a_new_session,
        planted.an_outage_ends_the_cookie,
        planted.writes_are_believed,
        planted.a_failed_save_is_a_logout,
        planted.redis_has_nothing,
    ],
)
@pytest.mark.kinds(*NETWORK)
def test_a_store_that_is_down(place: str, web_on: WebOn, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """At load and at save of every view: 503, no cookie, the session unchanged; also for unknown and ended ones."""
    with linked(request, place, tmp_path) as (link, url):
        web = web_on(url, PROPAGATE_EXCEPTIONS=False)
        ended, _ = known(web), web.do(end)
        token = known(web)
        with link.disturb(Fault.DOWN):
            for name in names_for(place):
                assert_come_back(web.do(VIEWS[name]), name)
            for other in (ended, STRANGER):
                assert_come_back(web.do(user, web.with_token(other)), "not a session")
            assert_come_back(web.do(VIEWS["write"], web.app.test_client()), "a first write")
            for header in (None, "nonsense"):
                assert web.do(user, web.with_token(header)).text == "None"
            assert web.do(lambda: "served").text == "served"
        assert later(web, token) == BEFORE
        for name in names_for(place)[1:]:
            with ExitStack() as stack:
                assert_come_back(web.do(partial(_then, VIEWS[name], link, Fault.DOWN, stack)), name)
            assert later(web, token) == BEFORE, name
        for other in (ended, STRANGER):
            assert later(web, other) == {}


def _noting(seen: list[Any], view: Callable[[], Any]) -> Any:
    seen.append(session.read_only)
    return view()


def _then(view: Callable[[], Any], link: Link, fault: Fault, stack: ExitStack) -> None:
    session.get("user")
    view()
    stack.enter_context(link.disturb(fault))


@requirement(
    "Catalogue F",
    says="If a connection is lost before or after a write, the answer is true, or an error.",
    mutants=[
        planted.an_outage_ends_the_cookie,
        planted.redis_did_it,
        planted.an_outage_is_a_new_session,
    ],
)
@pytest.mark.kinds(*NETWORK)
def test_a_connection_that_is_lost(place: str, web_on: WebOn, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A request or an answer lost at load and at save of every view: repeated, or 503, and never half done."""
    with linked(request, place, tmp_path) as (link, url):
        web = web_on(url, PROPAGATE_EXCEPTIONS=False)
        for fault in (Fault.REQUEST_LOST, Fault.REPLY_LOST):
            for name in names_for(place):
                token, browser = known(web), web.browser
                with link.disturb(fault):
                    response = web.do(VIEWS[name])
                assert_true(name, web, token, response, browser)
            for name in names_for(place)[1:]:
                token, browser = known(web), web.browser
                with ExitStack() as stack:
                    response = web.do(partial(_then, VIEWS[name], link, fault, stack))
                assert_true(name, web, token, response, browser)


@requirement(
    "Catalogue F",
    says="A store that does not answer is an outage within a bounded time.",
    mutants=[planted.an_outage_is_a_new_session, planted.writes_are_believed],
)
@pytest.mark.kinds(*NETWORK)
def test_a_store_that_is_silent(
    place: str, web_on: WebOn, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer at load and at save: 503 within the timeouts, and the session unchanged when answers return."""
    seams.SQL_STATEMENT_TIMEOUT.plant(monkeypatch, 0.5)
    with linked(request, place, tmp_path) as (link, url):
        web = web_on(url, PROPAGATE_EXCEPTIONS=False)
        token = known(web)
        start = time.monotonic()
        with link.disturb(Fault.SILENT):
            assert_come_back(web.do(user), "load")
        assert time.monotonic() - start < 5
        assert later(web, token) == BEFORE
        with ExitStack() as stack:
            assert_come_back(web.do(lambda: _then(VIEWS["write"], link, Fault.SILENT, stack)), "save")
        assert later(web, token).items() >= BEFORE.items()


@requirement(
    "Catalogue F",
    says="If the settings allow visitors during an outage, they are anonymous, and none of their changes is saved.",
    mutants=[planted.nobody_may_write, planted.lenient_writes_are_lost, planted.a_failed_save_is_a_logout],
)
@pytest.mark.kinds("redis", "memcached", "postgresql")
def test_nobody_during_an_outage(place: str, web_on: WebOn, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With SESSION_ON_STORE_ERROR="anonymous": 200, anonymous, read-only, no cookie; a failed save is still 503."""
    with linked(request, place, tmp_path) as (link, url):
        web = web_on(url, **LENIENT)
        token = known(web)
        with link.disturb(Fault.DOWN):
            for name, view in (("read", user), ("write", VIEWS["write"]), ("login", VIEWS["login"]), ("logout", end)):
                seen: list[Any] = []
                response = web.do(partial(_noting, seen, view))
                status = 200 if name in ("read", "write") else 503  # nobody is signed in or out by an outage
                assert (response.status_code, cookies_set(response), seen) == (status, [], [True]), name
                assert "victim" not in response.text
        assert later(web, token) == BEFORE
        with ExitStack() as stack:
            assert_come_back(web.do(lambda: _then(VIEWS["write"], link, Fault.DOWN, stack)), "save")
        assert later(web, token) == BEFORE
