"""Commands that read a store create no file, folder, table or collection."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.keyspace import prefix_of
from support.servers import Server
from support.terminal import Terminal

READING = [
    ("list",),
    ("list", "--user", "ada"),
    ("show", "0" * 64),
    ("stats",),
    ("purge",),
    ("revoke", "0" * 64),
    ("revoke", "--user", "ada"),
    ("revoke", "--all", "--yes"),
    ("copy", "memory://"),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "file", "json"])
def test_a_mistyped_path_is_an_error_and_makes_nothing(scheme: str, command: tuple[str, ...], tmp_path: Path) -> None:
    """A file or a folder that is not there is named, and neither it nor its folder is there afterwards."""
    path = tmp_path / "srv" / "typo"
    error = Terminal(f"{scheme}:///{path}").error(*command)
    assert error.startswith("there is no f")
    assert str(path) in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_file_of_others_is_left_alone(command: tuple[str, ...], tmp_path: Path) -> None:
    """A database or a folder without sessions is not made into a store by looking at it."""
    database, folder = tmp_path / "shop.db", tmp_path / "documents"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE orders (number INTEGER)")
    connection.close()
    folder.mkdir()
    before = database.read_bytes()
    assert Terminal(f"sqlite:///{database}").error(*command).startswith(f"there is no table 'sessions' in {database}")
    assert Terminal(f"file:///{folder}").error(*command).startswith(f"there is no folder of sessions {folder}")
    assert database.read_bytes() == before
    assert not list(folder.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"shop.db", "documents"}


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_mistyped_table_is_an_error_and_is_not_made(command: tuple[str, ...], sql_url: str) -> None:
    """A table that is not there is named, and is not there afterwards."""
    url = f"{sql_url}{'&' if '?' in sql_url else '?'}table=typo"
    error = Terminal(url).error(*command)
    assert error.startswith(("there is no table 'typo'", "there is no file "))
    engine = sa.create_engine(sql_url)
    assert not sa.inspect(engine).has_table("typo")
    engine.dispose()


@pytest.mark.mongodb
def test_a_mistyped_collection_is_an_error_and_is_not_made(mongodb_server: Server, tmp_path: Path) -> None:
    """A collection that is not there is named, and is not there afterwards."""
    import pymongo

    name, address = prefix_of(tmp_path).strip(":"), "{}:{}".format(*mongodb_server.address)
    for command in (one for one in READING if one != ("purge",)):
        error = Terminal(f"mongodb://{address}/tests.{name}").error(*command)
        assert error.startswith(f"there is no collection '{name}'")
    with pymongo.MongoClient[dict[str, object]](f"mongodb://{address}") as client:
        assert name not in client["tests"].list_collection_names()


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "file", "json"])
def test_what_init_has_made_can_be_read(scheme: str, tmp_path: Path) -> None:
    """After `init`, an empty store is listed as empty."""
    terminal = Terminal(f"{scheme}:///{tmp_path}/made")
    terminal.read("init")
    assert terminal.read("list") == "No live sessions.\n"


@pytest.mark.parametrize(
    "url", ["sqlite:///:memory:", "sqlite:///%3Amemory%3A", "sqlite:///file::memory:", "sqlite:///file:a.db"]
)
def test_no_file_is_called_memory(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own names, as for a database in memory, are refused with what to write, and make no file."""
    monkeypatch.chdir(tmp_path)
    for command in ("list", "init"):
        assert "write memory:// for sessions in memory" in Terminal(url).error(command)
    assert not list(tmp_path.iterdir())
