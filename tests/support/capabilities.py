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


def keys_of(store: Any, owner: str) -> list[str]:
    """Return the keys of all records that the index of *store* leads to for *owner*."""
    keys, page = [], store.find(owner)
    while True:
        keys += [key for key, _ in page.items]
        if page.after is None:
            return keys
        page = store.find(owner, page.after)
