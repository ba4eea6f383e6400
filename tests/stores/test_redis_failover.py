"""Sessions while a Redis primary is lost. ``pytest -s`` shows the figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.load import save_through
from support.servers import Group, ask, expect, start_cluster, start_sentinel, wait_for

from holdfast.stores.registry import open_store

pytestmark = pytest.mark.redis


@pytest.mark.parametrize(
    ("start", "strike"),
    [
        pytest.param(start_sentinel, "pause", id="sentinel, primary hangs"),
        pytest.param(start_cluster, "kill", id="cluster, primary dies"),
    ],
)
def test_a_primary_is_lost_under_load(start: Callable[[], Group], strike: str, tmp_path: Path) -> None:
    """Calls fail soon, as StoreUnavailable, and for seconds; no confirmed write is lost, no record is swapped."""
    group = start()
    with ExitStack() as stack:
        stack.callback(group.stop)
        stores: list[Any] = [open_store(f"{group.url}?timeout=1", root=tmp_path) for _ in range(3)]
        for store in stores:
            stack.callback(store.close)
        figures = save_through(stores, getattr(group.nodes[0], strike))
    sys.stdout.write(f"{strike}: {figures}\n")
    assert figures.strange == []
    assert figures.errors
    assert figures.confirmed
    assert figures.unsafe == 0
    assert figures.slowest < 5
    assert figures.outage < 15


def test_a_planned_failover_under_load(tmp_path: Path) -> None:
    """`SENTINEL FAILOVER` leaves the old primary's connections open for seconds; they are left within two."""
    group = start_sentinel()
    old, new = group.nodes

    def fail_over() -> None:
        ask(group.helpers[0].address, b"SENTINEL FAILOVER holdfast\r\n")
        for node, role in ((new, b"role:master"), (old, b"role:slave")):
            wait_for(partial(expect, node.address, b"INFO replication\r\n", role))

    with ExitStack() as stack:
        stack.callback(group.stop)
        # An old primary has no replica to wait for.
        stores: list[Any] = [open_store(f"{group.url}?wait_timeout=0.02", root=tmp_path) for _ in range(3)]
        for store in stores:
            stack.callback(store.close)
        start = time.monotonic()
        figures = save_through(stores, fail_over)
        seconds = time.monotonic() - start
    sys.stdout.write(f"planned: {figures} in {seconds:.1f} s\n")
    # A save may be based on one that the old primary alone had.
    assert all("Conflict" in problem for problem in figures.strange)
    assert figures.outage < 2
    assert figures.lost_for < 2
