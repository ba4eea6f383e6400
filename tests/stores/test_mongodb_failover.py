"""Sessions while a MongoDB replica set changes its primary. ``pytest -s`` shows the figures."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pymongo
import pytest
from support.load import save_through
from support.servers import Group, Server

from holdfast.stores.registry import open_store

pytestmark = pytest.mark.mongodb


def primary_of(group: Group) -> Server:
    """Return the server that is the primary now."""
    with pymongo.MongoClient(group.url, serverSelectionTimeoutMS=10_000) as client:  # type: ignore[var-annotated]
        client.admin.command("ping")
        assert client.primary is not None
        [node] = [node for node in group.nodes if node.address == client.primary]
    return node


def step_down(node: Server) -> None:
    """Let the primary make room for another."""
    with pymongo.MongoClient(*node.address, directConnection=True) as client:  # type: ignore[var-annotated]
        client.admin.command("replSetStepDown", 20, force=True)


@pytest.mark.parametrize("strike", ["step down", "kill"])
def test_a_primary_is_lost_under_load(strike: str, mongodb_replica_set_server: Group, tmp_path: Path) -> None:
    """Calls fail soon if at all, as StoreUnavailable, and for seconds; no acknowledged write is lost."""
    group = mongodb_replica_set_server
    node = primary_of(group)
    with ExitStack() as stack:
        stores: list[Any] = [open_store(group.url, root=tmp_path) for _ in range(3)]
        for store in stores:
            stack.callback(store.close)
        if strike == "kill":
            stack.callback(node.restart)
        figures = save_through(stores, node.kill if strike == "kill" else lambda: step_down(node))
    sys.stdout.write(f"{strike}: {figures}\n")
    assert figures.strange == []
    assert figures.saved > 20
    assert figures.lost == 0
    assert figures.slowest < 5
    assert figures.outage < 15
