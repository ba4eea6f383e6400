"""Tools for testing: the conformance suite for stores, a test clock, and stores that fail on purpose.

This is the one part of Holdfast that needs pytest.
"""

# ruff: noqa: E402 (pytest must know the modules before they are imported)

from __future__ import annotations

import pytest

# A failed assertion in these modules shows its values.
_WITH_ASSERTIONS = [
    "base", "capabilities", "concurrency", "index_races", "laws", "outages", "processes", "races", "random_calls",
]  # fmt: skip
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _WITH_ASSERTIONS))

from holdfast.stores.contract import OPERATIONS
from holdfast.testing.base import Fault
from holdfast.testing.clock import FakeClock
from holdfast.testing.contract import StoreContract
from holdfast.testing.link import Link
from holdfast.testing.wrappers import CountingStore, FailingStore, SlowStore, StoreWrapper

__all__ = [
    "OPERATIONS", "CountingStore", "FailingStore", "FakeClock", "Fault", "Link", "SlowStore", "StoreContract",
    "StoreWrapper",
]  # fmt: skip
