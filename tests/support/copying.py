"""Records to copy, and what a store holds of them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from holdfast.records.record import Record
from holdfast.stores.contract import Closes, iterate
from holdfast.stores.registry import open_store

HOUR = 3_600_000


def key(number: int) -> str:
    """Return a key for *number*."""
    return f"{number * 2_654_435_761 % 2**32:08x}{number:056x}"


def fill(store: Any, count: int) -> None:
    """Make *count* records, every second one with an owner."""
    until = int(time.time() * 1000) + HOUR
    for number in range(count):
        store.create(key(number), b"%d" % number, expires_at=until, owner="ada" if number % 2 else None)


def content(store: Any) -> dict[str, tuple[bytes, int, str | None]]:
    """Return everything that lives in *store*."""
    return {name: as_copied(record) for page in iterate(store) for name, record in page.items}


def as_copied(record: Record) -> tuple[bytes, int, str | None]:
    """Return what a copy of *record* must share with it."""
    return record.data, record.expires_at, record.owner


def opened(stack: ExitStack, url: str) -> Any:
    """Return the store at *url*, which *stack* closes."""
    store = open_store(url)
    if isinstance(store, Closes):
        stack.callback(store.close)
    return store
