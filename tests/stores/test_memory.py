"""The memory store: the contract, and what it alone promises."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from holdfast.clock import Clock
from holdfast.stores.memory import MemoryStore
from holdfast.testing import StoreContract


class TestMemoryStore(StoreContract):
    """The contract, on the memory store: two clients are the same object."""

    @cached_property
    def records(self) -> MemoryStore:
        """The one store of a test."""
        return MemoryStore(clock=self.clock)

    def open_store(self, place: Path, clock: Clock) -> MemoryStore:
        """Return the one store of the test."""
        return self.records
