"""Sessions while a Redis primary is lost. ``pytest -s`` shows the figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.load import save_through
from support.servers import Group, start_cluster, start_sentinel

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
