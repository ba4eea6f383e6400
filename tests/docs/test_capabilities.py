"""The docs about the capabilities of stores, compared with the contract and the stores."""

from __future__ import annotations

import inspect
import re
from pkgutil import resolve_name

import pytest
from support.pages import table, text_of

from holdfast.sessions import ops
from holdfast.stores.contract import CAPABILITIES, OPERATIONS, Indexes, Iterates, Purges, Rotates

STORES = {
    "SQLite": "sqlite:SQLiteStore",
    "files": "files:FileStore",
    "JSON file": "jsonfile:JSONFileStore",
    "memory": "memory:MemoryStore",
    "Redis, Valkey, Sentinel": "redis:RedisStore",
    "Redis Cluster": "redis:RedisClusterStore",
    "memcached": "memcached:MemcachedStore",
    "MongoDB": "mongodb:MongoDBStore",
    "DynamoDB": "dynamodb:DynamoDBStore",
    "MariaDB, MySQL, PostgreSQL": "sql:SQLStore",
}


def test_the_page_on_writing_a_store_lists_every_capability() -> None:
    """Its table has the method of each capability once, and no other."""
    rows = table("docs/how-to/write-your-own-store.md", "without it")
    listed = [name for row in rows for name in re.findall(r"`(\w+)\(", row["method"])]
    assert sorted(listed) == sorted(CAPABILITIES.values())


def test_the_page_on_metrics_lists_every_call_of_a_flow() -> None:
    """The names of the calls that are timed are those that a flow can make, each a method of the contract."""
    calls = [
        name
        for name, function in inspect.getmembers(ops, inspect.isfunction)
        if str(inspect.signature(function).return_annotation).startswith("Call[") and name != ops.PAUSE
    ]
    assert set(calls) <= set(OPERATIONS)
    [listed] = re.findall(
        r"Each store call is measured, by its name \((.*?)\)", text_of("docs/how-to/observability.md"), re.DOTALL
    )
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(calls)


@pytest.mark.parametrize("name", STORES)
def test_the_page_of_stores_says_what_each_can(name: str) -> None:
    """A store lists, rotates, walks and purges where the table says so."""
    [row] = [row for row in table("docs/reference/stores.md", "machines") if row[""] == name]
    said = {
        Indexes: row["list and end a user's sessions"] == "yes",
        Rotates: row["rotation in one step"] == "yes",
        Iterates: row["list all sessions"] == "yes",
        Purges: row["removes expired records"] != "by itself",
    }
    store = resolve_name(f"holdfast.stores.{STORES[name]}")
    assert said == {capability: hasattr(store, CAPABILITIES[capability]) for capability in said}


def test_the_page_of_stores_has_a_row_for_each() -> None:
    """No store is missing from the table, and none is in it twice."""
    assert [row[""] for row in table("docs/reference/stores.md", "machines")] == list(STORES)
