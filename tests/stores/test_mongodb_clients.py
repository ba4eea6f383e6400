"""Clients of MongoDB: the store's own, one for each process, and those that an application brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
import pytest
from flask import Flask
from support import disk
from support.servers import Server

from holdfast.errors import ConfigurationError
from holdfast.flask import Session
from holdfast.sessions.manager import directory
from holdfast.stores.mongodb import MongoDBStore
from holdfast.stores.registry import open_store

pytestmark = pytest.mark.mongodb

FORKED = """
import os, sys
from pathlib import Path
from holdfast.stores.registry import open_store

store = open_store(sys.argv[1], root=Path())
keys = [os.urandom(32).hex() for _ in range(2)]
for key in keys:
    assert store.create(key, key.encode(), expires_at=2**50)
child = os.fork()
mine = keys[child == 0]
for _ in range(60):
    record = store.load(mine)
    assert record.data == mine.encode(), "the other process's answer"
    assert isinstance(store.replace(mine, mine.encode(), expect=record.version, expires_at=2**50), int)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.load(keys[0]).data == keys[0].encode()
store.close()
print("apart")
"""


def test_a_forked_child_shares_no_connection(mongodb_server: Server) -> None:
    """Parent and child work on the store at once after a fork, each with a client of its own."""
    assert disk.run(FORKED, mongodb_server.url) == "apart\n"


class Asynchronous:
    """A client whose methods are coroutines."""

    def get_database(self, name: str) -> None:
        """Never be called."""

    async def close(self) -> None:
        """Never be called."""


@pytest.mark.parametrize(
    ("client", "problem"),
    [
        ({}, r"builtins\.dict is no MongoDB client, it has no get_database"),
        (pymongo.MongoClient, r"builtins\.type is no MongoDB client"),
        (Asynchronous(), r"Asynchronous is asynchronous"),
    ],
)
def test_a_client_that_cannot_be_used_is_named(client: Any, problem: str) -> None:
    """A wrong client is an error at start-up that names its class, also in ``SESSION_MONGODB``."""
    with pytest.raises(ConfigurationError, match=problem):
        MongoDBStore(client)
    app = Flask("shop")
    app.config.update(SESSION_TYPE="mongodb", SESSION_MONGODB=client)
    setting = "SESSION_MONGODB is text" if isinstance(client, str) else f"SESSION_MONGODB: .*{problem}"
    with pytest.raises(ConfigurationError, match=setting):
        Session(app)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"SESSION_MONGODB_DB": "a b"}, "'a b'"),
        ({"SESSION_MONGODB_COLLECT": "a..b"}, r"'a\.\.b'"),
        ({"SESSION_MONGODB_DB": 5}, "SESSION_MONGODB_DB is 5"),
    ],
)
def test_a_name_that_is_not_valid_is_named(names: dict[str, object], problem: str) -> None:
    """A database or a collection that MongoDB cannot have is an error at start-up."""
    with pymongo.MongoClient(connect=False) as client:  # type: ignore[var-annotated]
        app = Flask("shop")
        app.config.update(SESSION_TYPE="mongodb", SESSION_MONGODB=client, **names)
        with pytest.raises(ConfigurationError, match=problem):
            Session(app)


@pytest.mark.parametrize(("url", "name"), [("mongodb://h/shop", "shop"), ("mongodb://h", "holdfast")])
def test_the_default_database_is_that_of_the_client(url: str, name: str) -> None:
    """Without another name, sessions are in the database that the client's URL names."""
    with pymongo.MongoClient(url, connect=False) as client:  # type: ignore[var-annotated]
        assert MongoDBStore(client)._collection().database.name == name
        assert MongoDBStore(client, database="other")._collection().database.name == "other"


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ("flask_session", "holdfast_sessions")),
        ({"SESSION_MONGODB_DB": "blog", "SESSION_MONGODB_COLLECT": "app.session"}, ("blog", "app.session")),
    ],
)
def test_the_defaults_are_flask_session_s(config: dict[str, str], names: tuple[str, str]) -> None:
    """``SESSION_TYPE = "mongodb"`` alone means localhost, Flask-Session's database and our collection."""
    app = Flask("shop")
    app.config.update(SESSION_TYPE="mongodb", **config)
    store = directory(Session(app).manager).store
    assert isinstance(store, MongoDBStore)
    assert store._names == names
    assert store._url is not None
    assert store._url.startswith("mongodb://localhost:27017/")


@pytest.mark.parametrize(
    ("url", "names", "timeout"),
    [
        ("mongodb://a", ("holdfast", "sessions"), 2.0),
        ("mongodb://u:p%40@a:1,b/shop?replicaSet=x", ("shop", "sessions"), 2.0),
        ("mongodb://a/shop.kept?timeoutMS=500", ("shop", "kept"), 0.5),
        ("mongodb+srv://u:p@a.example.com/shop?srvServiceName=x&timeoutMS=3000", ("shop", "sessions"), 3.0),
        ("mongodb+srv://a.example.com/?srvMaxHosts=2", ("holdfast", "sessions"), 2.0),
    ],
)
def test_a_url_names_the_collection(url: str, names: tuple[str, str], timeout: float) -> None:
    """The database and the collection are in the URL or have defaults, and no name server is asked at the start."""
    store = open_store(url, root=Path())
    assert isinstance(store, MongoDBStore)
    assert (store._names, store._timeout) == (names, timeout)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://a:b",
        "mongodb://u:secret@secret@a",
        "mongodb://u:se/cret@a/db",
        "mongodb+srv://u:secret@a/d b",
        "mongodb://u:se?cret@a/db",
        "mongodb://u:se?cret=cret@a/db",
    ],
)
def test_a_url_that_is_not_valid_is_refused(url: str) -> None:
    """The message shows the form of a URL, and quotes no part of a password."""
    with pytest.raises(ConfigurationError, match=r"write mongodb://\[user:password@\]host") as caught:
        open_store(url, root=Path())
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("option", ["unheard=1", "timeoutMS=nan", "timeoutMS=-1", "maxPoolSize=many", "tlsCAFile=/no"])
def test_an_option_that_is_not_valid_is_named(option: str) -> None:
    """An option that pymongo does not know, or whose value it refuses, is an error at start-up that names it."""
    name = option.partition("=")[0]
    with pytest.raises(ConfigurationError, match=rf"the MongoDB URL is not valid \({name}: .*write mongodb://"):
        open_store(f"mongodb://a/?w=1&{option}", root=Path())
