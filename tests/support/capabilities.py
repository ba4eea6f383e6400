"""Stores with chosen capabilities, for tests of what is built around a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdfast.stores.contract import CAPABILITIES, METHODS
from holdfast.stores.memory import MemoryStore


class PlainStore:
    """A store without a single capability."""

    def __init__(self) -> None:
        inner = MemoryStore()
        for method in METHODS:
            setattr(self, method, getattr(inner, method))


def store_with(capabilities: Iterable[type]) -> Any:
    """Return a store with just *capabilities*, whose methods have no effect."""
    store = PlainStore()
    for capability in capabilities:
        setattr(store, CAPABILITIES[capability], lambda *_: None)
    return store
