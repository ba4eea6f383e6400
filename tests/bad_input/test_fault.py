"""The catalogue of bad input, faults of a store: never a user, a logout or a lost write reported as done."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bad_input import planted_fault as planted
from bad_input.answers import user
from flask import flash
from security.rows import requirement
from security.steps import WebOn
from support import seams
from support.databases import start_mongod
from support.disk import no_room_for_files_over, taken_away
from support.keyspace import prefix_of
from support.servers import Group, Server, start_memcached, start_redis
from support.sql import url_of
from support.web import STRANGER, Web, cookies_set, end, rotate, varies
from werkzeug.test import TestResponse

from holdfast.flask import session
from holdfast.testing import Fault, Link

NETWORK = ("redis", "memcached", "mongodb", "mariadb", "postgresql")
LENIENT = {"SESSION_ON_STORE_ERROR": "anonymous", "PROPAGATE_EXCEPTIONS": False}

VIEWS: dict[str, Callable[[], Any]] = {
    "read": lambda: str(session["user"]),
    "write": lambda: session.update(a=1),
    "nested": lambda: session["cart"].append(2),
    "apply": lambda: session.apply("n", lambda n: n + 1, default=0),
    "flash": lambda: flash("hello"),
    "rotate": rotate,
    "login": lambda: session.bind("ada"),
    "logout": end,
}
BEFORE: dict[str, Any] = {"user": "victim", "cart": [1]}


# --- what is asserted -------------------------------------------------------------------------------------------------


def known(web: Web) -> str:
    """Give the browser of *web* a session that holds `BEFORE`, and return its token."""
    web.browser = web.app.test_client()
    assert web.put(**BEFORE).status_code == 200
    return web.token() or ""


def names_for(place: str) -> list[str]:
    """Return the views to try: fewer where the driver waits after each fault before it connects again."""
    return ["read", "write"] if place.startswith("mongodb") else list(VIEWS)


def assert_come_back(response: TestResponse, what: object) -> None:
    """Assert that the response is a 503 with Retry-After, without a cookie, and not cacheable."""
    assert response.status_code == 503, what
    assert int(response.headers["Retry-After"]) > 0, what
    assert "Set-Cookie" not in response.headers, what
    assert response.headers["Cache-Control"] == "no-store", what
    assert "cookie" in varies(response.headers), what
    assert "victim" not in response.text, what


def later(web: Web, token: str) -> dict[str, Any]:
    """Return what a session holds as soon as the store works again, which takes at most three seconds."""
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 3
    while True:
        web.take_heard()
        web.do(lambda: seen.append(dict(session)), web.with_token(token))
        if "store_unavailable" not in web.names():
            return seen[-1]
        assert time.monotonic() < deadline, "the store does not work again"
        time.sleep(0.02)


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
            yield link, f"redis://{host}/0?prefix={prefix_of(folder)}&timeout=0.3&connect_timeout=0.3"
        elif kind == "memcached":
            yield link, f"memcached://{host}?timeout=0.3"
        elif kind == "mongodb":
            name = f"tests.{prefix_of(folder).strip(':')}"
            yield link, f"mongodb://{host}/{name}?timeoutMS=300&serverSelectionTimeoutMS=100"
        else:
            url = url_of(server, port=link.port, database=place.rpartition("/")[2])
            yield link, impatient(url) if kind == "mariadb" else url


def impatient(url: str) -> str:
    """Return *url* of MariaDB with the shortest limit on the wait for an answer."""
    return f"{url}{'&' if '?' in url else '?'}read_timeout=1"


# --- the network ------------------------------------------------------------------------------------------------------


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
        planted.writes_are_believed,
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
                assert (response.status_code, cookies_set(response), seen) == (200, [], [True]), name
                assert "victim" not in response.text
        assert later(web, token) == BEFORE
        with ExitStack() as stack:
            assert_come_back(web.do(lambda: _then(VIEWS["write"], link, Fault.DOWN, stack)), "save")
        assert later(web, token) == BEFORE


# --- servers that answer with an error --------------------------------------------------------------------------------


def assert_refused(
    web: Web, token: str, what: str, *, reads: bool, creates: bool = False, names: Sequence[str] = tuple(VIEWS)
) -> None:
    """Assert that the views of these *names* are 503 while a server refuses.

    Where it still *reads*, sessions can be read, and where it *creates*, new ones begin.
    """
    for name in names:
        response = web.do(VIEWS[name], web.with_token(token))
        if reads and name == "read":
            assert (response.status_code, response.text, cookies_set(response)) == (200, "victim", []), what
        else:
            assert_come_back(response, (what, name))
    if not creates:
        assert_come_back(web.do(VIEWS["write"], web.app.test_client()), (what, "a first write"))
    seen = web.do(user, web.with_token(STRANGER))
    assert (seen.status_code, seen.text) == (200, "None") if reads else seen.status_code == 503, what


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """Return a Redis server whose settings this test alone may change."""
    server = start_redis("--enable-debug-command", "yes")
    yield server
    server.stop()


@requirement(
    "Catalogue F",
    says="READONLY, OOM, NOPERM and LOADING of Redis are outages.",
    mutants=[
        planted.redis_has_nothing,
        planted.redis_did_it,
        planted.writes_are_believed,
        planted.an_outage_ends_the_cookie,
    ],
)
@pytest.mark.redis
def test_a_redis_that_refuses(own_redis: Server, web_on: WebOn) -> None:
    """A real server made a replica, full, without rights, and loading: 503, no cookie, and no data is lost."""
    import redis

    url = f"redis://127.0.0.1:{own_redis.address[1]}/0"
    web = web_on(url, PROPAGATE_EXCEPTIONS=False)
    token = known(web)
    with closing(redis.Redis.from_url(own_redis.url)) as client:
        client.replicaof("127.0.0.1", "1")
        assert_refused(web, token, "READONLY", reads=True)
        client.replicaof("NO", "ONE")
        assert later(web, token) == BEFORE

        client.config_set("maxmemory", 1)
        # A script may write that has removed something first, as a login's does in the index.
        assert_refused(web, token, "OOM", reads=True, names=[name for name in VIEWS if name != "login"])
        client.config_set("maxmemory", 0)
        assert later(web, token) == BEFORE

        client.acl_setuser("admin", enabled=True, nopass=True, keys=["*"], categories=["+@all"])
        with closing(redis.Redis.from_url(own_redis.url, username="admin", password="any")) as admin:
            admin.acl_setuser("default", enabled=True, nopass=True, keys=["*"], categories=["-@all"])
            assert_refused(web, token, "NOPERM", reads=False)
            admin.acl_setuser("default", enabled=True, nopass=True, keys=["*"], categories=["+@all"])
        assert later(web, token) == BEFORE
        _while_loading(
            client, lambda: assert_refused(web, token, "LOADING", reads=False, names=["read", "write", "login"])
        )
    assert later(web, token) == BEFORE


def _while_loading(client: Any, action: Callable[[], None]) -> None:
    """Call *action* while the server reads its data from the disk."""
    import redis

    client.mset({f"other:{number}": b"x" * 100 for number in range(3000)})
    client.config_set("key-load-delay", 1000)
    client.config_set("loading-process-events-interval-bytes", 1024)
    loading = threading.Thread(target=client.execute_command, args=("DEBUG", "RELOAD"))
    loading.start()
    with closing(redis.Redis.from_url(f"unix://{client.connection_pool.connection_kwargs['path']}")) as other:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                other.ping()
            except redis.exceptions.BusyLoadingError:
                break
        action()
        with suppress(redis.exceptions.RedisError):
            other.config_set("key-load-delay", 0)
    loading.join(10)


@requirement(
    "Catalogue F",
    says="A Redis Cluster node that is used like a single server is an outage, and not an empty store.",
    mutants=[planted.redis_did_it],
)
@pytest.mark.redis
def test_a_redis_that_sends_elsewhere(redis_cluster_server: Group, web_on: WebOn) -> None:
    """MOVED at load, save and login: 503 without a cookie for the records of other nodes, and never half a write."""
    port = redis_cluster_server.nodes[0].address[1]
    web = web_on(f"redis://127.0.0.1:{port}/0?prefix=moved:", PROPAGATE_EXCEPTIONS=False)
    statuses = set()
    for _ in range(40):
        response = web.do(VIEWS["write"], web.app.test_client())
        statuses.add(response.status_code)
        assert len(cookies_set(response)) == (response.status_code == 200)
        if response.status_code != 200:
            assert_come_back(response, "MOVED")
    assert statuses == {200, 503}


@requirement(
    "Catalogue F",
    says="A memcached whose memory is full is an outage for writes, and logs no user out.",
    mutants=[planted.memcached_did_it, planted.writes_are_believed],
)
@pytest.mark.memcached
def test_a_memcached_that_is_full(web_on: WebOn) -> None:
    """A real server that may not evict, filled up: a first write is 503 without a cookie, and reads work."""
    import pymemcache

    server = start_memcached("-M", "-m", "1", "-I", "512k")
    try:
        web = web_on(server.url, PROPAGATE_EXCEPTIONS=False)
        token = known(web)
        with closing(pymemcache.Client(server.address)) as client, suppress(pymemcache.exceptions.MemcacheServerError):
            for number in range(200):  # as large as what is to be written, since each size has memory of its own
                client.set(f"filler-{number}", b"x" * 20_100, noreply=False)
        assert later(web, token) == BEFORE
        large = "x" * 20_000
        assert_come_back(web.do(lambda: session.update(note=large), web.app.test_client()), "a first write")
        assert_come_back(web.do(lambda: session.update(note=large)), "a write")
        assert later(web, token) == BEFORE
    finally:
        server.stop()


@requirement(
    "Catalogue F",
    says="An error of MongoDB at any call is an outage.",
    mutants=[planted.mongodb_has_nothing, planted.writes_are_believed],
)
@pytest.mark.mongodb
def test_a_mongodb_that_refuses(web_on: WebOn) -> None:
    """A real server with failpoints: no rights, no room, lost cursors: 503, and no data is lost."""
    import pymongo

    server = start_mongod("--setParameter", "enableTestCommands=1")
    try:
        web = web_on(
            f"mongodb://127.0.0.1:{server.address[1]}/tests.sessions?timeoutMS=300", PROPAGATE_EXCEPTIONS=False
        )
        token = known(web)
        reads, writes = ["find"], ["findAndModify", "update", "insert", "delete"]
        with pymongo.MongoClient[dict[str, Any]]("127.0.0.1", server.address[1]) as client:
            for code in (13, 14031, 43):  # no rights, no room, a cursor that is lost
                for commands in (reads, writes):
                    data = {"failCommands": commands, "errorCode": code}
                    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
                    try:
                        assert_refused(
                            web,
                            token,
                            f"error {code}",
                            reads=commands is writes,
                            creates=commands is reads,
                        )
                    finally:
                        client.admin.command("configureFailPoint", "failCommand", mode="off")
                    assert later(web, token) == BEFORE, code
    finally:
        server.stop()


@requirement(
    "Catalogue F",
    says="A missing or locked table, and a read-only database, are outages.",
    mutants=[planted.sql_has_nothing, planted.writes_are_believed, planted.an_outage_ends_the_cookie],
)
@pytest.mark.kinds("postgresql", "mariadb")
def test_a_database_that_refuses(place: str, web_on: WebOn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only, locked and without its table: 503, no cookie; then all data is back, except in a recreated table."""
    seams.SQL_STATEMENT_TIMEOUT.plant(monkeypatch, 0.5)
    is_postgresql = place.startswith("postgresql")
    web = web_on(place if is_postgresql else impatient(place), PROPAGATE_EXCEPTIONS=False)
    token = known(web)
    engine = sa.create_engine(place, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if is_postgresql:
                name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
                connection.execute(sa.text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
                _disconnect_others(connection)
                assert_refused(web, token, "read-only", reads=True)
                connection.execute(sa.text("SET default_transaction_read_only = off"))
                connection.execute(sa.text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))
                _disconnect_others(connection)
                assert later(web, token) == BEFORE
            for statement in _lock(is_postgresql=is_postgresql):
                connection.execute(sa.text(statement))
            assert_come_back(web.do(user), "locked")
            connection.execute(sa.text("COMMIT" if is_postgresql else "UNLOCK TABLES"))
            assert later(web, token) == BEFORE
            connection.execute(sa.text("DROP TABLE holdfast_sessions"))
        assert_come_back(web.do(VIEWS["write"]), "dropped")
        assert later(web, token) == {}
        assert web.do(VIEWS["write"]).status_code == 200
    finally:
        engine.dispose()


def _lock(*, is_postgresql: bool) -> list[str]:
    if is_postgresql:
        return ["BEGIN", "LOCK TABLE holdfast_sessions IN ACCESS EXCLUSIVE MODE"]
    return ["LOCK TABLES holdfast_sessions WRITE"]


def _disconnect_others(connection: sa.Connection) -> None:
    connection.execute(
        sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


# --- disks ------------------------------------------------------------------------------------------------------------


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Make the files below *folder* unreadable inside the block, as for a process of another user."""
    mode = folder.stat().st_mode
    folder.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(mode)


@requirement(
    "Catalogue F",
    says="A missing, full or forbidden disk is an outage: 503, no cookie, and the session unchanged.",
    mutants=[
        planted.faults_of_files_pass,
        planted.writes_are_believed,
        planted.an_outage_ends_the_cookie,
        planted.an_outage_is_a_new_session,
    ],
)
@pytest.mark.kinds("files", "json", "sqlite")
def test_a_disk_that_fails(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """A removed folder, a folder without permissions, and a full disk: at load and at save, on every store on disk."""
    folder = tmp_path / "place"
    folder.mkdir()
    place = place.replace(str(tmp_path), str(folder))
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = known(web)
    for way in (taken_away, forbidden):
        with way(folder):
            fresh = web_on(place, PROPAGATE_EXCEPTIONS=False)  # another process, without open connections
            fresh.clock.advance_ms(web.clock() - fresh.clock())
            for name, view in VIEWS.items():
                assert_come_back(fresh.do(view, fresh.with_token(token)), (way, name))
            assert_come_back(fresh.do(VIEWS["write"], fresh.app.test_client()), (way, "a first write"))
        assert later(web, token) == BEFORE, way
    large = "x" * 200_000
    for browser in (web.with_token(token), web.app.test_client()):
        with no_room_for_files_over(1 << 16):
            assert_come_back(web.do(lambda: session.update(note=large), browser), "no room")
        assert later(web, token) == BEFORE


@requirement(
    "Catalogue F",
    says="A SQLite file that is locked, without its table or no database is an outage.",
    mutants=[planted.sqlite_has_nothing, planted.writes_are_believed, planted.an_outage_ends_the_cookie],
)
@pytest.mark.kinds("sqlite")
def test_a_sqlite_that_refuses(place: str, web_on: WebOn) -> None:
    """Locked by another program: reads work and writes are 503; a dropped table is 503 once, and then recreated."""
    web = web_on(f"{place}?timeout=0.05", PROPAGATE_EXCEPTIONS=False)
    token = known(web)
    path = Path(place.partition(":///")[2])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_refused(web, token, "locked", reads=True)
        other.execute("ROLLBACK")
        assert later(web, token) == BEFORE
        other.execute("DROP TABLE sessions")
    assert_come_back(web.do(VIEWS["write"]), "dropped")
    assert later(web, token) == {}
    assert web.do(VIEWS["write"]).status_code == 200
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
    path.write_bytes(b"no database at all " * 500)
    fresh = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for view in (user, VIEWS["write"], end):
        assert_come_back(fresh.do(view, fresh.with_token(token)), "no database")
