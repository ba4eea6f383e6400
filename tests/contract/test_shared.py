"""The suite passes, without one skip, on a store that keeps every law."""

from __future__ import annotations

from contract.shared import SharedContract


class TestSharedStore(SharedContract):
    """Everything the suite can test."""
