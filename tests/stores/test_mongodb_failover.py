"""Sessions while a MongoDB replica set changes its primary. ``pytest -s`` shows the figures."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pymongo
import pytest
from support.load import save_through
from support.moving import Name
from support.requests import Request
from support.servers import Group, NotYet, Server, wait_for

from holdfast.errors import StoreUnavailable
from holdfast.sessions.manager import Manager
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


def test_a_name_that_moves_from_a_primary_that_stepped_down(mongodb_replica_set_server: Group, tmp_path: Path) -> None:
    """The first write that is refused is tried once more, where the name leads now: nothing fails."""
    group = mongodb_replica_set_server
    node = primary_of(group)
    with closing(Name(node.address)) as name:
        url = f"mongodb://127.0.0.1:{name.port}/holdfast.moved?directConnection=true&heartbeatFrequencyMS=500"
        store: Any
        with closing(open_store(url, root=tmp_path)) as store:  # type: ignore[type-var]
            assert store.load("ab" * 32) is None
            step_down(node)
            wait_for(partial(another_primary, group, node))
            name.move(primary_of(group).address)
            assert store.create("ab" * 32, b"data", expires_at=4_000_000_000_000, owner="ada") is not None
            assert store.delete("ab" * 32)


def another_primary(group: Group, node: Server) -> None:
    """Raise unless the primary is another server than *node*."""
    if primary_of(group) is node:
        raise NotYet("it has not stepped down")


def test_a_save_that_only_a_primary_without_a_majority_has_is_not_acknowledged(
    mongodb_replica_set_server: Group, tmp_path: Path
) -> None:
    """The read that decides about a lost answer does not take what that primary undoes later for saved."""
    group = mongodb_replica_set_server
    others = [node for node in group.nodes if node is not primary_of(group)]
    patient: Any
    hasty: Any
    with ExitStack() as stores:
        patient = stores.enter_context(closing(open_store(group.url, root=tmp_path)))  # type: ignore[type-var]
        hasty = stores.enter_context(closing(open_store(f"{group.url}&timeoutMS=1000", root=tmp_path)))  # type: ignore[type-var]
        begun = Request(Manager(patient))
        begun["n"] = 0
        begun.commit()
        counts = Request(Manager(hasty), begun.token)
        counts["n"] += 1
        with ExitStack() as stack:
            for node in others:
                node.pause()
                stack.callback(node.resume)
            with pytest.raises(StoreUnavailable):
                counts.commit()
        wait_for(partial(primary_of, group))


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
    # The servers wait ten seconds for a primary before they elect another, and a busy machine adds to it.
    assert figures.outage < 30
