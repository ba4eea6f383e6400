"""Mistakes of set-up that show in use: each is said to be one at every call, and no line of it quotes a session."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis
import sqlalchemy as sa
from support.databases import start_mariadb, start_mongod
from support.logins import new_sql_user, with_login
from support.servers import NotYet, Server, start_memcached, start_redis, wait_for
from support.web import Web, end

from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.flask import session
from holdfast.stores.contract import Store
from holdfast.stores.memory import MemoryStore
from holdfast.stores.mongodb import MongoDBStore
from holdfast.stores.redis import RedisStore
from holdfast.stores.registry import open_store
from holdfast.stores.sql import SQLStore, sessions_table

KEY, DATA, FAR = "5ec2e7" * 10 + "abcd", b"a secret that is kept", 2**41

#: The commands that docs/reference/backends/redis.md lists.
COMMANDS = {
    *("get", "getrange", "set", "setrange", "del", "pexpire", "pttl", "evalsha", "eval", "scan", "wait", "ping"),
    *("zadd", "zrem", "zscore", "zrange", "zrangebyscore", "zremrangebyscore", "time", "info"),
}


def logged(store: Any, *, owner: str | None = None) -> str:
    """Return what an error reporter gets of a first save that *store* refuses for good, and of one after it."""
    lines = ""
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            _ = store.load(KEY), store.create(KEY, DATA, expires_at=FAR, owner=owner)
        assert caught.value.permanent, caught.value.reason
        lines += f"{caught.value.reason}\n{''.join(traceback.format_exception(caught.value))}"
    return lines


def assert_not_ready(store: Any) -> None:
    """Assert that the readiness of *store* fails for good."""
    with pytest.raises(StoreUnavailable) as caught:
        store.ping()
    assert caught.value.permanent, caught.value.reason


def assert_quotes_nothing(text: str) -> None:
    """Assert that *text* has neither the key, as text or bytes, nor the data."""
    for part in (KEY[:20], repr(bytes.fromhex(KEY))[2:20], repr(DATA)[2:20], DATA.hex()[:20]):
        assert part not in text


@pytest.mark.redis
@pytest.mark.parametrize("server", ["redis_server", "valkey_server"])
def test_a_command_that_a_script_may_not_call(request: pytest.FixtureRequest, server: str) -> None:
    """A user who may run scripts, but not each command in them, is told apart from an outage."""
    url = request.getfixturevalue(server).url
    with redis.Redis.from_url(url) as client:
        commands = [f"+{name}" for name in COMMANDS - {"zadd"}]
        client.acl_setuser("scripter", enabled=True, passwords=["+word"], keys=["*"], commands=commands)
        with closing(open_store(with_login(url, "scripter:word"))) as store:  # type: ignore[type-var]
            assert_quotes_nothing(logged(store, owner="ada"))
            store.ping()  # type: ignore[attr-defined]  # sessions without a user work
            for removed in ("-get", "+get -del", "-evalsha"):
                client.execute_command("ACL", "SETUSER", "scripter", *removed.split())
                assert_not_ready(store)
        client.acl_deluser("scripter")


@pytest.mark.redis
def test_a_replica_is_not_ready(redis_server: Server) -> None:
    """A server that takes no writes may become a primary again: it is an outage."""
    server = start_redis("--replicaof", f"127.0.0.1 {redis_server.address[1]}")
    try:
        with closing(RedisStore.from_url(server.url)) as store:
            with pytest.raises(StoreUnavailable) as caught:
                store.ping()
            assert not caught.value.permanent
            assert "read only replica" in caught.value.reason
    finally:
        server.stop()


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("postgresql_url", marks=pytest.mark.postgresql),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
def test_a_user_of_a_database_who_may_only_read_is_not_ready(request: pytest.FixtureRequest, server: str) -> None:
    """Nor is one who may not even read; nothing is written to find that out."""
    given = request.getfixturevalue(server)
    by = "IDENTIFIED BY" if given.startswith("mariadb") else "LOGIN PASSWORD"
    with closing(opened(given)) as store:
        store.ping()
        assert store.scan().items == ()
    with new_sql_user(given, f"{by} 'word'", may="SELECT") as url, closing(opened(url)) as store:
        assert_not_ready(store)
        if given.startswith("mariadb"):  # where a connection keeps the rights that it began with
            admin = sa.create_engine(given, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
            with admin.connect() as connection:
                connection.exec_driver_sql(f"GRANT ALL ON *.* TO {sa.make_url(url).username}")
            store.ping()


@pytest.mark.parametrize("missing", ["SELECT", "INSERT", "UPDATE", "DELETE"])
@pytest.mark.parametrize(
    "server",
    [
        pytest.param("postgresql_url", marks=pytest.mark.postgresql),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
def test_a_user_of_a_database_without_one_right_is_not_ready(
    request: pytest.FixtureRequest, server: str, missing: str
) -> None:
    """Readiness needs each right that requests need, and the trial writes nothing."""
    given = request.getfixturevalue(server)
    rest = ", ".join(sorted({"SELECT", "INSERT", "UPDATE", "DELETE"} - {missing}))
    by = "IDENTIFIED BY" if server == "mariadb_url" else "LOGIN PASSWORD"
    with (
        closing(opened(given)) as admin,
        new_sql_user(given, f"{by} 'word'", may=rest) as url,
        closing(opened(url)) as store,
    ):
        admin.ping()
        name = sa.make_url(url).username
        if server == "postgresql_url":
            admin.ask(lambda to: to.exec_driver_sql(f"GRANT {rest} ON holdfast_sessions TO {name}"))
        assert_not_ready(store)
        assert admin.scan().items == ()
        if server == "postgresql_url":
            admin.ask(lambda to: to.exec_driver_sql(f"DROP OWNED BY {name}"))


@pytest.mark.mongodb
@pytest.mark.parametrize("missing", ["find", "update", "remove"])
def test_a_user_of_mongodb_without_one_right_is_not_ready(missing: str) -> None:
    """Readiness needs the rights that requests need, except that to insert, which nothing shows without a write."""
    server = start_mongod("--auth")
    try:
        with pymongo.MongoClient[Any](server.url) as client:  # until there is a user, it may be made without a login
            client.admin.command("createUser", "root", pwd="word", roles=["root"])
        place = with_login(server.url, "root:word") + "?authSource=admin"
        with pymongo.MongoClient[Any](place) as client:
            actions = sorted({"find", "insert", "update", "remove", "createIndex"} - {missing})
            right = {"resource": {"db": "holdfast", "collection": ""}, "actions": actions}
            client.admin.command("createRole", "some", privileges=[right], roles=[])
            client.admin.command("createUser", "ada", pwd="word", roles=["some"])
        with closing(MongoDBStore.from_url(place.replace("root:", "ada:"))) as store:
            assert_not_ready(store)
    finally:
        server.stop()


@pytest.mark.redis
@pytest.mark.parametrize("command", ["GET", "EVAL", "TIME"])
def test_a_command_that_the_server_lacks(command: str) -> None:
    """The server's answer repeats the command with its key: no error does."""
    server = start_redis("--rename-command", command, "")
    try:
        with closing(RedisStore.from_url(server.url)) as store:
            assert_quotes_nothing(logged(store, owner="ada"))
    finally:
        server.stop()


@pytest.mark.redis
def test_an_end_that_fails_has_the_servers_reason(caplog: pytest.LogCaptureFixture) -> None:
    """A logout and an end by the operator on a server that takes no writes report its words."""
    server = start_redis()
    try:
        with closing(RedisStore.from_url(server.url)) as store, redis.Redis.from_url(server.url) as client:
            web = Web(lambda _: store, PROPAGATE_EXCEPTIONS=False)
            web.do(lambda: session.bind("ada"))
            client.replicaof("127.0.0.1", 1)
            with pytest.raises(StoreUnavailable) as caught:
                web.sessions.revoke_all("ada")
            assert "read only replica" in caught.value.reason
            with caplog.at_level(logging.ERROR):
                assert web.do(end).status_code == 503
            assert "read only replica" in caplog.text
    finally:
        server.stop()


@pytest.mark.mongodb
def test_mongodb_refuses_each_time() -> None:
    """A wrong password is no outage at the second call either, and a missing right is reported without the key.

    Nor is an application ready that may only read.
    """
    server = start_mongod("--auth")
    try:
        with pymongo.MongoClient[Any](server.url) as client:  # the first user may be made without a login
            client.admin.command("createUser", "reader", pwd="word", roles=["readAnyDatabase"])
        with closing(MongoDBStore.from_url(with_login(server.url, "reader:word") + "?authSource=admin")) as store:
            assert store.load(KEY) is None
            assert_not_ready(store)
        with closing(MongoDBStore.from_url(with_login(server.url, "nobody:wrong"))) as store:
            logged(store)
        with closing(MongoDBStore.from_url(server.url)) as store:
            assert_quotes_nothing(logged(store))
    finally:
        server.stop()


@pytest.fixture
def collection(mongodb_server: Server) -> Iterator[Any]:
    """A collection of MongoDB that is there."""
    with pymongo.MongoClient[Any](mongodb_server.url) as client:
        database = client[f"r{secrets.token_hex(6)}"]
        yield database.create_collection("sessions")
        client.drop_database(database)


def store_in(collection: Any) -> MongoDBStore:
    return MongoDBStore(collection.database.client, database=collection.database.name)


@pytest.mark.mongodb
def test_a_rule_of_a_collection(collection: Any) -> None:
    """Documents that a rule of the operator's refuses are not shown."""
    collection.database.command("collMod", "sessions", validator={"$jsonSchema": {"required": ["more"]}})
    with closing(store_in(collection)) as store:
        assert_quotes_nothing(logged(store))


@pytest.mark.mongodb
def test_a_unique_index_of_the_operators(collection: Any) -> None:
    """A second session of a user, where an index allows one, is refused at once."""
    collection.create_index("owner", unique=True)
    with closing(store_in(collection)) as store:
        assert store.create("a" * 64, DATA, expires_at=FAR, owner="ada") is not None
        assert "ada" not in logged(store, owner="ada")


@pytest.mark.mongodb
def test_a_system_that_starts_no_thread(mongodb_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pymongo can start none the store is unavailable; where only the indexes wait for one, it works."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with closing(MongoDBStore.from_url(mongodb_server.url)) as store, monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreUnavailable, match="RuntimeError"):
            store.load(KEY)
    with pymongo.MongoClient[Any](mongodb_server.url) as client, monkeypatch.context() as patched:
        client.admin.command("ping")
        patched.setattr(threading.Thread, "start", refuse)
        store = MongoDBStore(client)
        assert store.load(KEY) is None
        store.close()


def test_a_store_that_has_every_key_already() -> None:
    """A new session for which no key is free is an error, and not an endless search."""

    class Taken(MemoryStore):
        def create(self, *_: Any, **__: Any) -> None:
            return None

    web = Web(lambda clock: Taken(clock=clock), PROPAGATE_EXCEPTIONS=False)
    assert web.do(lambda: session.update(a=1)).status_code == 503


@pytest.mark.mariadb
def test_an_account_of_mariadb_that_is_locked(mariadb_url: str) -> None:
    """It stays locked until somebody unlocks it."""
    with (
        new_sql_user(mariadb_url, "IDENTIFIED BY 'word' ACCOUNT LOCK", may="ALL") as url,
        closing(opened(url)) as store,
    ):
        logged(store)


@pytest.mark.mariadb
def test_a_host_that_mariadb_has_blocked() -> None:
    """A proxy whose checks end each connection has its host blocked, until somebody unblocks it."""

    def check() -> None:
        with socket.create_connection(server.address, source_address=("127.0.0.2", 0)) as connection:
            if connection.recv(5)[4:] != b"\xff":  # an error takes the place of the greeting
                raise NotYet("it is not blocked")

    server = start_mariadb("--skip-name-resolve=0", "--max-connect-errors=1", "--host-cache-size=10")
    try:
        with new_sql_user(server.url, "IDENTIFIED BY 'word'", may="ALL") as url:
            place = sa.make_url(url).set(host="127.0.0.1", port=server.address[1], query={"bind_address": "127.0.0.2"})
            with closing(opened(place.render_as_string(hide_password=False))) as store:
                store.ping()
                store.close()
                wait_for(check)
                assert_not_ready(store)
    finally:
        server.stop()


@pytest.mark.postgresql
def test_an_account_of_postgresql_that_may_not_sign_in(postgresql_url: str) -> None:
    """Such as a role that is a group."""
    with new_sql_user(postgresql_url, "NOLOGIN", may="ALL") as url, closing(opened(url)) as store:
        logged(store)


@pytest.mark.postgresql
def test_a_schema_that_is_not_there(postgresql_url: str) -> None:
    """A mistyped schema."""
    with closing(opened(f"{postgresql_url}?schema=typo")) as store:
        logged(store)


def opened(url: str) -> SQLStore:
    """Return the SQL store at *url*."""
    store = open_store(url)
    assert isinstance(store, SQLStore)
    return store


def test_a_table_that_lost_a_column(sql_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Requests are answered 503 and logged in one line that names the column: no traceback, and no logout."""
    engine = sa.create_engine(sql_url)
    store = SQLStore(engine)
    web = Web(lambda _: store, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    with engine.begin() as connection:
        for index in sessions_table().indexes:
            if str(index.name).endswith("_owner"):
                index.drop(connection)
        connection.execute(sa.text("ALTER TABLE holdfast_sessions DROP COLUMN owner"))
    engine.dispose()
    with caplog.at_level(logging.ERROR):
        answers = [web.do(lambda: session.get("a")) for _ in range(3)]
        with pytest.raises(StoreUnavailable):
            web.sessions.ping()
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert "set up correctly" in answers[-1].text
    assert "it has no column owner" in caplog.text
    assert "Traceback" not in caplog.text
    store.close()
    engine.dispose()


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("postgresql_url", marks=pytest.mark.postgresql),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
@pytest.mark.parametrize(
    "columns", [{"expires_at": "INTEGER"}, {"key": "VARCHAR(32)"}, {"version": "VARCHAR(5)"}, {"data": "CHAR(5)"}]
)
def test_a_table_with_other_types(request: pytest.FixtureRequest, server: str, columns: dict[str, str]) -> None:
    """What a column cannot take is no outage; that a session is too large is said of its data alone."""
    given = request.getfixturevalue(server)
    types = {"key": "VARCHAR(64)", "version": "BIGINT", "expires_at": "BIGINT", "purge_at": "BIGINT"}
    types |= {"owner": "VARCHAR(255)", "data": "BYTEA" if "postgresql" in given else "LONGBLOB", **columns}
    quote = sa.create_engine(given).dialect.identifier_preparer.quote_identifier
    made = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
    with closing(opened(given)) as store:
        store.ask(lambda connection: connection.exec_driver_sql("DROP TABLE holdfast_sessions"))
        store.ask(lambda connection: connection.exec_driver_sql(f"CREATE TABLE holdfast_sessions ({made})"))
        if "data" in columns and "mariadb" in given:
            with pytest.raises(RecordTooLarge):
                store.create(KEY, DATA, expires_at=FAR)
        else:
            logged(store)


@pytest.mark.mariadb
def test_a_server_without_the_storage_engine() -> None:
    """Tables of sessions need InnoDB, which a server may be told to replace."""
    server = start_mariadb("--enforce-storage-engine=Aria")
    try:
        with closing(opened(server.url)) as store:
            logged(store)
    finally:
        server.stop()


@pytest.mark.memcached
def test_a_memcached_that_wants_a_password(tmp_path: Path) -> None:
    """The client of a URL gives none."""
    (tmp_path / "users").write_text("ada:word\n")
    store: Any
    server = start_memcached("-Y", str(tmp_path / "users"))
    try:
        with closing(open_store(server.url)) as store:  # type: ignore[type-var]
            logged(store)
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["sqlite", "json", "sqlite+pysqlite"])
def test_a_file_that_others_may_write(tmp_path: Path, scheme: str) -> None:
    """A mode that was changed while the application runs."""
    path = tmp_path / "sessions"
    store: Store = open_store(f"{scheme}:///{path}")
    store.create("a" * 64, DATA, expires_at=FAR)
    if scheme != "json":
        store.close()  # type: ignore[attr-defined]  # another connection checks the file
    path.chmod(0o666)
    assert "chmod" in logged(store)


@pytest.mark.parametrize("scheme", ["sqlite", "json", "sqlite+pysqlite"])
def test_a_file_that_is_damaged(tmp_path: Path, scheme: str) -> None:
    """A file with a hole in it does not mend by itself."""
    path = tmp_path / "sessions"
    store: Any = open_store(f"{scheme}:///{path}")
    for number in range(200):
        store.create(f"{number:064x}", DATA * 20, expires_at=FAR)
    if scheme != "json":
        store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(size - 100))
    logged(open_store(f"{scheme}:///{path}"))
