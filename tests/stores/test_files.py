"""The store of a folder of files: the contract, and what it alone promises."""

from __future__ import annotations

from pathlib import Path

from holdfast.clock import Clock
from holdfast.stores.files import FileStore
from holdfast.testing import StoreContract


class TestFileStore(StoreContract):
    """The contract, on a folder of files."""

    shared_between_processes = True

    def open_store(self, place: Path, clock: Clock) -> FileStore:
        """Return a store on the folder of the test."""
        return FileStore(place / "sessions", clock=clock)
