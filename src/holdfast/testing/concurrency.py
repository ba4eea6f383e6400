"""Threads that start at once, and operations that a client of a store does in several steps."""

from __future__ import annotations

import json
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeGuard, TypeVar

from holdfast.stores.contract import Conflict, Gone, Record, Rotates, Rotation, Store, Version

T = TypeVar("T")

TOMBSTONE = b"superseded"


@contextmanager
def frequent_switches() -> Iterator[None]:
    """Let threads switch as often as the interpreter can, so that a gap between two steps shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def together(*calls: Callable[[], T]) -> list[T]:
    """Run *calls* at once, each in a thread of its own, and return their results, in order.

    Their order is random, with offsets of up to a third of a millisecond.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        if random.random() < 0.7:
            time.sleep(random.random() / 3000)
        return call()

    with frequent_switches(), ThreadPoolExecutor(len(calls)) as pool:
        futures = {index: pool.submit(run, calls[index]) for index in random.sample(range(len(calls)), len(calls))}
    return [futures[index].result() for index in range(len(calls))]


def during(write: Callable[[], T], read: Callable[[], object]) -> T:
    """Run *write* in a thread, call *read* repeatedly until it is done, and return the result of *write*."""
    with frequent_switches(), ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        while not written.done():
            read()
    read()
    return written.result()


def is_version(answer: Version | Conflict | Gone | None) -> TypeGuard[Version]:
    """Return whether *answer* means that a write was applied."""
    return answer is not None and not isinstance(answer, Conflict | Gone)


def update(store: Store, key: str, change: Callable[[dict[str, Any]], None], *, expires_at: int) -> Version:
    """Load the JSON object under *key*, *change* it and save it, until no other save comes first."""
    record = store.load(key)
    for _ in range(10_000):
        assert record is not None, "load returned None though the record is live"
        fields = json.loads(record.data)
        change(fields)
        data = json.dumps(fields).encode()
        answer = store.replace(key, data, expect=record.version, expires_at=expires_at, owner=record.owner)
        assert not isinstance(answer, Gone), "replace answered Gone though nobody deleted the record"
        if not isinstance(answer, Conflict):
            return answer
        record = answer.current or store.load(key)
    raise AssertionError("each of 10,000 saves was a Conflict")


def count(store: Store, key: str, times: int, *, expires_at: int) -> None:
    """Increment the number of hits under *key*, and a field of this caller alone, *times* times."""
    mine = secrets.token_hex(8)

    def increment(fields: dict[str, int]) -> None:
        fields["hits"] += 1
        fields[mine] = fields.get(mine, 0) + 1

    for _ in range(times):
        update(store, key, increment, expires_at=expires_at)


def assert_counted(record: Record, times: list[int]) -> None:
    """Assert that *record* has what several callers of `count` counted, each as often as *times* says."""
    fields = json.loads(record.data)
    assert (fields.pop("hits"), sorted(fields.values())) == (sum(times), times)


def rotate(store: Store, step: Rotation) -> Version | Conflict | Gone:
    """Give a record a new key: by `Rotates.move`, or with the core's steps for a store without it."""
    if isinstance(store, Rotates):
        return store.move(step)
    version = store.create(step.new, step.data, expires_at=step.expires_at, owner=step.owner)
    assert version is not None, "create returned None for a new key"
    answer = store.replace(step.old, step.tombstone, expect=step.expect, expires_at=step.grace_until)
    if is_version(answer):
        return version
    store.delete(step.new)
    return answer
