"""Commands that look after a store."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.everywhere import url_of_kind
from support.keyspace import prefix_of
from support.servers import Server
from support.terminal import AppTerminal, Shelf, Terminal
from support.web import Web

from holdfast.records.encryption import new_key


def test_a_new_key_is_32_bytes_that_nobody_had() -> None:
    """`new-key` prints 32 random bytes as base64url, and needs no store."""
    keys = {Terminal(None).read("new-key").rstrip("\n"), Terminal(None).data("new-key")["key"]}
    assert len(keys) == 2
    assert {len(base64.urlsafe_b64decode(f"{key}=")) for key in keys} == {32}


def test_a_new_key_needs_no_store_of_the_application(shelf: Shelf) -> None:
    """An application whose sessions are in Flask's cookie can have a key made too."""
    cookie = shelf.with_settings(SESSION_TYPE="null", SESSION_STORE=None)
    assert len(cookie.app.read("new-key")) == 44
    assert "Flask's signed cookie" in cookie.app.error("list")


@pytest.mark.parametrize("command", ["stats", "purge", "init", "ddl"])
def test_cookies_are_no_store(shelf: Shelf, command: str) -> None:
    """Where sessions are in browsers' cookies, the commands on a store say that there is none."""
    cookie = shelf.with_settings(SESSION_STORE="cookie://", SESSION_SEAL_KEYS=[new_key()])
    assert cookie.app.error(command) == "the sessions are in the browsers' cookies: there is no store"


@pytest.mark.parametrize("kind", ["memory", "sqlite", "files"])
def test_init_makes_what_is_missing(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """After `init` the store's file or folder exists, and a second call changes nothing."""
    terminal = Terminal(url_of_kind(kind, request, tmp_path))
    for _ in range(2):
        assert terminal.read("init").endswith("Store is ready.\n")
        assert terminal.data("init")["ready"] is True
    assert kind == "memory" or list(tmp_path.iterdir())


def test_init_makes_the_table_and_its_indexes(sql_url: str) -> None:
    """`init` makes a table that the first use must not make, and later an index that somebody dropped."""
    terminal = Terminal(f"{sql_url}{'&' if '?' in sql_url else '?'}create_table=0")
    assert terminal.error("list").startswith("there is no ")
    assert terminal.data("init") == {"store": "SQLStore", "ready": True}
    engine = sa.create_engine(sql_url)
    with engine.begin() as connection:
        index = next(index for index in sa.inspect(connection).get_indexes("holdfast_sessions"))
        on = " ON holdfast_sessions" if engine.dialect.name in {"mysql", "mariadb"} else ""
        connection.execute(sa.text(f"DROP INDEX {index['name']}{on}"))
    assert terminal.read("init") == "SQLStore is ready.\n"
    with engine.connect() as connection:
        assert len(sa.inspect(connection).get_indexes("holdfast_sessions")) == 2
    engine.dispose()
    assert terminal.read("list") == "No live sessions.\n"


@pytest.mark.mongodb
def test_init_makes_the_indexes_of_a_collection(mongodb_server: Server, tmp_path: Path) -> None:
    """After `init` the indexes by owner and by expiry are there."""
    import pymongo

    name, address = prefix_of(tmp_path).strip(":"), "{}:{}".format(*mongodb_server.address)
    terminal = Terminal(f"mongodb://{address}/tests.{name}")
    assert terminal.data("init") == {"store": "MongoDBStore", "ready": True}
    with pymongo.MongoClient[dict[str, object]](f"mongodb://{address}") as client:
        assert {"owner_1", "expires_at_1"} < set(client["tests"][name].index_information())


def test_init_of_a_table_that_is_not_ours_is_an_error(sqlite_url: str) -> None:
    """A table of the same name with other columns is left alone, and the error is one line."""
    engine = sa.create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE holdfast_sessions (id INTEGER)"))
    engine.dispose()
    assert "is not one of Holdfast's" in Terminal(sqlite_url).error("init")


def test_purge_removes_what_has_expired(shelf: Shelf) -> None:
    """`purge` removes expired records alone and says how many."""
    short = shelf.with_settings(PERMANENT_SESSION_LIFETIME=60)
    short.visit()
    left = shelf.visit()
    short.web.clock.advance(24 * 3600 + 300)
    assert short.app.data("purge") == {"store": "CountingStore", "removed": 1}
    assert short.app.read("purge") == "Removed 0 expired records.\n"
    assert [session["handle"] for session in shelf.store.data("list")["sessions"]] == [left]


def test_purge_before_the_first_session(tmp_path: Path) -> None:
    """An application that has stored nothing yet has nothing to purge: that is no error, and makes no file."""
    terminal = AppTerminal(Web(SESSION_STORE=f"sqlite:///{tmp_path}/sessions.db"))
    assert terminal.read("purge") == f"There is no file {tmp_path}/sessions.db yet: no session was stored.\n"
    assert terminal.data("purge") == {"store": "SQLiteStore", "removed": 0}
    assert not list(tmp_path.iterdir())


@pytest.mark.redis
def test_purge_says_where_there_is_nothing_to_do(redis_server: Server) -> None:
    """A store that removes expired records by itself is not asked to."""
    terminal = Terminal(redis_server.url)
    assert terminal.read("purge") == "RedisStore removes expired records by itself: there is nothing to do.\n"
    assert terminal.data("purge") == {"store": "RedisStore", "removed": 0}


def test_ddl_is_of_the_store_at_hand(sqlite_url: str) -> None:
    """Without a URL of its own, `ddl` is about the store that the other commands work on."""
    assert "CREATE TABLE visits" in Terminal(f"{sqlite_url}?table=visits").read("ddl")
