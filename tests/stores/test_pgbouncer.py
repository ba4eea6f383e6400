"""Sessions in PostgreSQL behind PgBouncer, which gives each statement the next free connection to the server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest
from flask import Flask
from support.building import store_of
from support.databases import start_pgbouncer
from support.servers import Server

from holdfast.errors import StoreUnavailable
from holdfast.flask import Session, session
from holdfast.stores.registry import open_store

pytestmark = pytest.mark.pgbouncer

BROWSERS, REQUESTS = 12, 30


@pytest.fixture(scope="module")
def pooler(postgresql_server: Server) -> Iterator[Server]:
    """A PgBouncer in transaction mode with two connections to the server."""
    server = start_pgbouncer(postgresql_server)
    yield server
    server.stop()


def counting(url: str, stack: ExitStack) -> Flask:
    """Return an application that counts a session's requests, and close its store with *stack*."""
    app = Flask("counter")
    app.config.update(SESSION_STORE=url, PROPAGATE_EXCEPTIONS=True)
    Session(app)
    stack.callback(store_of(app).close)

    @app.get("/")
    def count() -> str:
        return str(session.apply("n", lambda n: n + 1, default=0))

    return app


@pytest.mark.parametrize(
    ("driver", "options"),
    [("psycopg", ""), ("psycopg", "?prepare_threshold=none&connect_timeout=2"), ("psycopg2", "")],
)
def test_it_works_with_the_url_of_the_docs(pooler: Server, driver: str, options: str) -> None:
    """Of 360 requests of twelve browsers at once, over three stores, each is answered, and counted in its session."""
    url = pooler.url.replace("psycopg", driver) + options
    with ExitStack() as stack:
        apps = [counting(url, stack) for _ in range(3)]

        def visit(number: int) -> list[str]:
            browser = apps[number % 3].test_client()
            return [browser.get("/").text for _ in range(REQUESTS)]

        with ThreadPoolExecutor(BROWSERS) as pool:
            answers = list(pool.map(visit, range(BROWSERS)))
    assert answers == [[str(number + 1) for number in range(REQUESTS)]] * BROWSERS


@pytest.mark.parametrize(
    ("mode", "auth", "user"),
    [("statement", "any", "postgres"), ("transaction", "trust", "nobody"), ("transaction", "hba", "nobody")],
)
def test_a_pooler_that_is_set_up_wrong(postgresql_server: Server, mode: str, auth: str, user: str) -> None:
    """A pooler for single statements, and one that does not know the user, refuse for good: it is no outage."""
    server = start_pgbouncer(postgresql_server, mode=mode, auth=auth)
    try:
        store: Any
        with closing(open_store(server.url.replace("postgres@", f"{user}@"))) as store:  # type: ignore[type-var]
            with pytest.raises(StoreUnavailable) as caught:
                store.load("ab" * 32)
            assert caught.value.permanent, caught.value.explained
    finally:
        server.stop()
