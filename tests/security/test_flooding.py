"""Cheap requests are cheap for the store: no record for visitors, none without a limit, no connection held."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import abort
from security import planted_flooding as planted
from security.rows import advisory, requirement
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast.flask import session
from holdfast.stores.sql import SQLStore

WebOn = Callable[..., Web]
KINDS = ("memory", "sqlite", "files", "json", "redis", "mongodb", "mariadb", "postgresql")


# --- no records for nobody --------------------------------------------------------------------------------------------


def _read() -> str:
    return f"{session.get('a')} {'a' in session} {len(session)} {bool(session)} {list(session)} {session.permanent}"


def _fail() -> None:
    session["a"] = 1
    raise ZeroDivisionError


def _refuse() -> None:
    session.pop("a", None)
    abort(404)


_NOTHING: list[Callable[[], Any]] = [lambda: None, _read, end, rotate, _fail, _refuse]
_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT")


@advisory(
    "CVE-2015-5143",
    "CVE-2015-5963",
    "CVE-2015-5964",
    product="Django",
    cause="Reading a session, or a logout without one, created a record, so that any client could fill the store.",
    mutants=[planted.everybody_gets_a_record, planted.unknown_ids_are_made, planted.a_logout_makes_a_session],
)
@requirement(
    "ASVS 7.6.2",
    says="Visitors who change no data get no session.",
    mutants=[planted.everybody_gets_a_record, planted.unknown_ids_are_made, planted.a_logout_makes_a_session],
)
@pytest.mark.kinds(*KINDS)
def test_nobody_leaves_a_record(place: str, web_on: WebOn) -> None:
    """Reading, logging out, failing, 404 and every method, with no, bad or unknown cookies, store no record."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for view in _NOTHING:
        for cookie in ("", "session=", "session=junk", f"session={STRANGER}", f"session={'A' * 5000}"):
            for method in _METHODS:
                web.store.reset()
                response = web.send(cookie, view, method=method)
                assert not cookies_set(response)
                assert set(web.store.counts) <= {"load"}
                assert web.store.counts["load"] <= (STRANGER in cookie)
    assert web.records() == 0


@advisory(
    "CVE-2015-5143",
    product="Django",
    cause="Requests without use of the session caused store calls.",
    mutants=[planted.opens_at_once],
)
@pytest.mark.kinds("memory")
def test_what_is_not_used_costs_nothing(place: str, web_on: WebOn) -> None:
    """A request that does not use the session calls no store and sets no cookie, with a cookie of any kind."""
    web = web_on(place)
    web.put(a=1)
    for cookie in ("", f"session={web.token()}", f"session={STRANGER}", "session=junk"):
        web.store.reset()
        response = web.send(cookie, lambda: None)
        assert not cookies_set(response)
        assert not web.store.counts


# --- no limitless records ---------------------------------------------------------------------------------------------


@advisory(
    "CVE-2016-4423",
    product="Symfony",
    cause="A client's data was stored in its session, at any length.",
    mutants=[planted.no_limit, planted.makes_room_first, planted.stores_what_fits],
)
@requirement(
    "OWASP store flooding",
    says="A record has a size limit on every store.",
    mutants=[planted.no_limit, planted.makes_room_first],
)
def test_no_record_exceeds_the_limit(place: str, web_on: WebOn) -> None:
    """On every store a session over the limit is an error before anything is written, and the old data is intact."""
    web = web_on(place, SESSION_MAX_BYTES=5000, PROPAGATE_EXCEPTIONS=False)
    web.put(name="ada")
    large = "x" * 6000
    for view in (lambda: session.update(name=large), lambda: session.update({large: 1})):
        web.store.reset()
        response = web.do(view)
        assert response.status_code == 500
        assert not cookies_set(response)
        assert set(web.store.counts) == {"load"}
        assert web.data() == {"name": "ada"}
    assert web.do(lambda: session.update(name=large), web.app.test_client()).status_code == 500
    web.put(name="y" * 4000)
    assert web.data() == {"name": "y" * 4000}


# --- nothing is held --------------------------------------------------------------------------------------------------


@advisory(
    "CVE-2018-11386",
    product="Symfony's PdoSessionHandler",
    cause="A transaction was open while the view ran, so that a few slow requests used up the connections.",
    mutants=[planted.a_lock_while_the_view_runs],
)
def test_a_view_holds_nothing_of_the_store(place: str, web_on: WebOn) -> None:
    """While one view runs, other requests of the same session load, save and rotate it, on every store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    twin = web.twin()
    statuses: list[int] = []

    def within() -> None:
        statuses.extend([web.do(lambda: session.get("a"), twin).status_code, web.put(twin, b=2).status_code])

    def view() -> None:
        session["c"] = session["a"]
        other = threading.Thread(target=within)
        other.start()
        other.join()

    assert web.do(view).status_code == 200
    assert statuses == [200, 200]
    assert web.data() == {"a": 1, "b": 2, "c": 1}


@advisory(
    "CVE-2018-11386",
    product="Symfony's PdoSessionHandler",
    cause="A connection was held while the view ran, so that a few slow requests used up the pool.",
    mutants=[planted.a_connection_while_the_view_runs],
)
def test_a_view_holds_no_connection(web_on: WebOn, tmp_path: Path) -> None:
    """Ten concurrent views finish with a pool of two connections, and none is in use while they run."""
    options: dict[str, Any] = {"poolclass": sa.QueuePool, "pool_size": 2, "max_overflow": 0, "pool_timeout": 1}

    def store(clock: Any) -> SQLStore:
        url = f"sqlite+pysqlite:///{tmp_path}/app.db"
        return SQLStore.from_url(url, root=tmp_path, engine_options=options, clock=clock)

    web = web_on(store, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    token, together = web.token(), threading.Barrier(10)

    def view() -> str:
        seen = str(session.get("a"))
        together.wait(3)
        return seen

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: web.do(view, web.with_token(token)).text, range(10)))
    assert answers == ["1"] * 10
