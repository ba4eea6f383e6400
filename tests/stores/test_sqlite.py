"""The SQLite store: the contract, and what it alone promises."""

from __future__ import annotations

from pathlib import Path

from holdfast.clock import Clock
from holdfast.stores.sqlite import SQLiteStore
from holdfast.testing import StoreContract


class TestSQLiteStore(StoreContract):
    """The contract, on SQLite: every client is a pool of its own on one file."""

    shared_between_processes = True

    def open_store(self, place: Path, clock: Clock) -> SQLiteStore:
        """Return a store on the file of the test."""
        return SQLiteStore(place / "sessions.db", clock=clock)
