"""Every ``SESSION_TYPE`` of Flask-Session: the store that it means here."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.building import assert_works, store_of
from support.dynamodb import resource_of
from support.servers import Server

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.sessions.manager import directory
from holdfast.stores.dynamodb import DynamoDBStore
from holdfast.stores.files import FileStore
from holdfast.stores.mongodb import MongoDBStore
from holdfast.stores.redis import RedisStore
from holdfast.stores.sql import SQLStore

cachelib: Any = pytest.importorskip("cachelib", reason="Flask-Session brings it")


def login(user: str) -> str:
    """Sign *user* in."""
    session.bind(user)
    return "ok"


def test_the_prefix_begins_every_key_in_redis(build: Any, redis_server: Server) -> None:
    """A Redis user that may use ``~session:*`` alone is enough, for the sessions and for the index."""
    import redis

    client: Any = redis.Redis(*redis_server.address)
    with contextlib.closing(client):
        client.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~session:*", "+@all")
        with contextlib.closing(redis.Redis(*redis_server.address, username="app", password="secret")) as limited:
            app = build(SESSION_TYPE="redis", SESSION_REDIS=limited)
            app.add_url_rule("/login/<user>", "login", login)
            assert isinstance(store_of(app), RedisStore)
            assert_works(app)
            user = secrets.token_hex(8)  # other tests use the same keys
            app.test_client().get(f"/login/{user}")
            assert len(directory(app.extensions["holdfast"].manager).of(user)) == 1
        client.execute_command("ACL", "DELUSER", "app")


def test_another_prefix_begins_every_key_in_memcached(build: Any, memcached_server: Server) -> None:
    """``SESSION_KEY_PREFIX`` is the beginning of the keys in memcached."""
    import pymemcache

    asked = []

    class Noting(pymemcache.Client):  # type: ignore[misc]  # untyped
        def add(self, key: str, *arguments: Any, **named: Any) -> Any:
            asked.append(key)
            return super().add(key, *arguments, **named)

    client = Noting(memcached_server.address)
    with contextlib.closing(client):
        assert_works(build(SESSION_TYPE="memcached", SESSION_MEMCACHED=client, SESSION_KEY_PREFIX="shop:"))
    assert asked
    assert all(key.startswith("shop:") and len(key) == len("shop:") + 64 for key in asked)


@pytest.mark.parametrize("prefix", ["a b", "\n", "é", "x" * 187])
def test_a_prefix_that_memcached_refuses_is_an_error(build: Any, prefix: str) -> None:
    """A prefix with which no key is valid is refused at the start."""
    with pytest.raises(ConfigurationError, match="cannot begin a key of memcached"):
        build(SESSION_TYPE="memcached", SESSION_KEY_PREFIX=prefix)


def test_tables_and_collections_have_a_name_of_their_own(build: Any, tmp_path: Path) -> None:
    """Flask-Session's own table and collection stay as they are: the defaults are other names."""
    config = {"SESSION_TYPE": "sqlalchemy", "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/app.db"}
    engine = sa.create_engine(f"sqlite:///{tmp_path}/app.db")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sessions (id INTEGER, session_id TEXT, data BLOB, expiry TIMESTAMP)"))
    assert_works(build(**config))
    assert set(sa.inspect(engine).get_table_names()) == {"sessions", "holdfast_sessions"}
    named = {"SESSION_SQLALCHEMY_TABLE": "sessions"}
    with pytest.raises(ConfigurationError, match=r"'sessions' is Flask-Session's.*SESSION_IMPORT_TABLE to 'sessions'"):
        build(**config, **named)
    app = build(**config, **named, SESSION_IMPORT=False)
    with pytest.raises(ConfigurationError, match=r"'sessions' is Flask-Session's.*SESSION_IMPORT_TABLE to 'sessions'"):
        store_of(app).load("0" * 64)
    engine.dispose()
    names = {"SESSION_DYNAMODB_TABLE": "shop", "SESSION_DYNAMODB_TABLE_NAME": "shop"}
    with pytest.raises(ConfigurationError, match="the table 'shop' is Flask-Session's, and cannot be Holdfast's too"):
        build(SESSION_TYPE="dynamodb", **names)
    assert store_of(build(SESSION_TYPE="mongodb"))._names == ("flask_session", "holdfast_sessions")


def test_postgresql(build: Any, tmp_path: Path) -> None:
    """``SESSION_TYPE="postgresql"`` of the development branch is SQL on the engine that is given."""
    engine = sa.create_engine("postgresql+psycopg://localhost/app")
    store = store_of(build(SESSION_TYPE="postgresql", SESSION_POSTGRESQL=engine, SESSION_POSTGRESQL_TABLE="t"))
    assert isinstance(store, SQLStore)
    assert store._table.fullname == "public.t"
    assert isinstance(store_of(build(SESSION_TYPE="postgresql")), SQLStore)
    with pytest.raises(ConfigurationError, match=r"SESSION_POSTGRESQL: builtins\.object is no engine"):
        build(SESSION_TYPE="postgresql", SESSION_POSTGRESQL=object())


def test_dynamodb(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource, as Flask-Session takes it, or a region and an endpoint, or neither: the server at localhost:8000."""
    store = store_of(build(SESSION_TYPE="dynamodb", SESSION_DYNAMODB=resource_of("?endpoint=http://127.0.0.1:1")))
    assert isinstance(store, DynamoDBStore)
    assert store._calls.table == "holdfast_sessions"
    given = {"SESSION_DYNAMODB_REGION": "eu-west-1", "SESSION_DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:2"}
    app = build(SESSION_TYPE="dynamodb", SESSION_DYNAMODB_TABLE_NAME="shop", **given)
    store = store_of(app)
    assert (store._calls.table, store._calls.client().meta.endpoint_url) == ("shop", "http://127.0.0.1:2")
    assert store._calls.client().meta.region_name == "eu-west-1"
    assert store_of(build(SESSION_TYPE="dynamodb"))._calls.client().meta.endpoint_url == "http://localhost:8000"
    with pytest.raises(ConfigurationError, match=r"SESSION_DYNAMODB: builtins\.object is no DynamoDB client"):
        build(SESSION_TYPE="dynamodb", SESSION_DYNAMODB=object())


def test_dynamodb_s_old_table(build: Any) -> None:
    """``SESSION_DYNAMODB_TABLE`` names the table to take sessions over from; Flask-Session's default is `Sessions`."""
    given = {"SESSION_DYNAMODB_TABLE": "old", "SESSION_DYNAMODB_TABLE_EXISTS": True}
    for config, table in ({}, "Sessions"), (given, "old"):
        app = build(SESSION_TYPE="dynamodb", **config)
        assert app.extensions["holdfast"].manager.context.old_place._finder._table == table


def test_cachelib(build: Any, tmp_path: Path, redis_server: Server) -> None:
    """A cache of cachelib decides which store it is: in its folder, or with its client and its prefix."""
    import redis

    cache = cachelib.FileSystemCache(str(tmp_path / "cache"), mode=0o640)
    files = store_of(build(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache))
    assert isinstance(files, FileStore)
    assert files.path.parent == tmp_path / "cache"
    default = store_of(build(SESSION_TYPE="cachelib"))
    assert isinstance(default, FileStore)
    assert default.path.parent == Path.cwd() / "flask_session"
    client: Any = redis.Redis(*redis_server.address)
    with contextlib.closing(client):
        prefix = f"{secrets.token_hex(4)}:"
        app = build(SESSION_TYPE="cachelib", SESSION_CACHELIB=cachelib.RedisCache(client, key_prefix=prefix))
        assert_works(app)
        assert client.keys(f"{prefix}session:*")


def test_a_cache_that_is_no_store_is_an_error(build: Any) -> None:
    """A cache in the memory of one process is refused with what to set instead."""
    with pytest.raises(ConfigurationError, match=r"SESSION_CACHELIB is a SimpleCache.*set SESSION_STORE"):
        build(SESSION_TYPE="cachelib", SESSION_CACHELIB=cachelib.SimpleCache())


def test_cachelib_s_mongodb(build: Any) -> None:
    """A cache in MongoDB is the client's database, with a collection of our own."""
    cache = cachelib.MongoDbCache.__new__(cachelib.MongoDbCache)
    import pymongo

    client: Any = pymongo.MongoClient(connect=False)
    cache.client = client["cache-db"]["cache-collection"]
    store = store_of(build(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache))
    assert isinstance(store, MongoDBStore)
    assert store._names == ("cache-db", "holdfast_sessions")
    client.close()
