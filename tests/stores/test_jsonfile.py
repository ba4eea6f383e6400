"""The store of one JSON file: the contract, and what it alone promises."""

from __future__ import annotations

from pathlib import Path

from holdfast.clock import Clock
from holdfast.stores.jsonfile import JSONFileStore
from holdfast.testing import StoreContract


class TestJSONFileStore(StoreContract):
    """The contract, on one JSON file."""

    shared_between_processes = True

    def open_store(self, place: Path, clock: Clock) -> JSONFileStore:
        """Return a store on the file of the test."""
        return JSONFileStore(place / "sessions.json", clock=clock)
