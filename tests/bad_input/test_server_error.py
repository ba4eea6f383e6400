"""Servers that answer with an error: an outage, and no data is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import sqlalchemy as sa
from bad_input import planted_outage as planted
from bad_input.answers import user
from bad_input.outages import BEFORE, VIEWS, assert_come_back, assert_refused, impatient, known, later
from security.rows import requirement
from security.steps import WebOn
from support import seams
from support.databases import start_mongod
from support.servers import Group, Server, start_memcached, start_redis
from support.web import cookies_set

from holdfast.flask import session


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
        # A script may write that has removed something first, as a login's does in the index. A logout needs no room.
        assert_refused(web, token, "OOM", reads=True, names=[name for name in VIEWS if name not in ("login", "logout")])
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
