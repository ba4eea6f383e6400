"""Sessions of an application in a real store, and the commands on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.everywhere import url_of_kind
from support.terminal import AppTerminal, Shelf, Terminal
from support.web import Web

from holdfast.stores.contract import Closes, Pings
from holdfast.stores.registry import open_store


@pytest.fixture
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """An application on an empty store: SQLite, or the kind that the test's parameter names."""
    url = url_of_kind(getattr(request, "param", "sqlite"), request, tmp_path)
    store = open_store(url)
    assert isinstance(store, Pings)
    store.ping()  # the first use makes the file or the table
    web = Web(lambda clock: store)
    # Without an application, the commands go by the system's clock.
    web.clock.advance(time.time() - web.clock() / 1000)
    yield Shelf(web, AppTerminal(web), Terminal(url), url)
    if isinstance(store, Closes):
        store.close()
