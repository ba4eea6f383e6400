"""Measure what very many sessions of one user cost to list and to end, and what a store adds to its bare driver.

Run by ``make many``. ``ARGS="1000 redis"`` sets the number of sessions and chooses the stores; default: 3,000, all.
"""

from __future__ import annotations

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from support.requests import Request

from benchmarks.backends import BACKENDS, Backend
from benchmarks.bare import BARE
from benchmarks.machine import machine
from holdfast.clock import DAY, system_clock
from holdfast.records.envelope import Envelope, encode
from holdfast.records.tokens import new_token
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.stores.contract import Closes, Indexes
from holdfast.stores.registry import open_store
from holdfast.testing.wrappers import CountingStore

T = TypeVar("T")

ROUNDS, BLOCK, DATA = 60, 20, bytes(442)


def fill(manager: Manager, count: int) -> None:
    """Store *count* sessions of one user."""
    now, owner = system_clock(), manager.keys.owner_of("ada")
    data = encode(Envelope(now, now, 31 * DAY, b"\x80"))
    for _ in range(count):
        manager.store.create(manager.keys.key_of(new_token()), data, expires_at=now + 31 * DAY, owner=owner)


def timed(store: CountingStore, action: Callable[[], T]) -> tuple[T, str]:
    """Return the result of *action*, and its time and its calls of *store* as text."""
    store.reset()
    began = time.perf_counter()
    result = action()
    return result, f"{time.perf_counter() - began:7.2f} s, {store.counts.total():3} calls"


def measure_ends(name: str, store: CountingStore, count: int) -> None:
    """Print the times of a page, of all, of a login under a limit, and of both kinds of ends."""
    manager = Manager(store)
    fill(manager, count)

    def sign_in() -> None:
        session = Request(Manager(store, policy=Policy(max_per_user=count // 2)))
        session.bind("ada")
        session.commit()

    actions: dict[str, Callable[[], Any]] = {
        "list a hundred": lambda: manager.of("ada", limit=100),
        "list all": lambda: manager.of("ada"),
        "a login that ends half": sign_in,
        "end all of the user's": lambda: manager.revoke_all("ada"),
        "end everybody's": manager.revoke_everyone,
    }
    for what, action in actions.items():
        if what == "end all of the user's":
            fill(manager, count - count // 2)
        if what == "end everybody's":
            fill(manager, count)
        _, found = timed(store, action)
        print(f"{name:11} {what:24} {found}", flush=True)


def measure_calls(name: str, store: Any, url: str) -> None:
    """Print the processor time of a read and a write of *store*, and of its bare driver."""
    bare, until = BARE[name](url, DATA), system_clock() + DAY
    keys = [secrets.token_hex(32) for _ in range(BLOCK)]
    for key in keys:
        store.create(key, DATA, expires_at=until, owner="a" * 64)
        bare.first(key)

    def write(key: str) -> None:
        store.replace(key, DATA, expect=store.load(key).version, expires_at=until, owner="a" * 64)

    calls: dict[str, tuple[Callable[[str], object], ...]] = {
        "read": (store.load, bare.read),
        "write": (write, bare.write),
    }
    for what, both in calls.items():
        times: tuple[list[float], ...] = ([], [])
        for _ in range(ROUNDS):
            for call, found in zip(both, times, strict=True):
                began = time.thread_time()
                for key in keys:
                    call(key)
                found.append((time.thread_time() - began) / BLOCK * 1e6)
        mine, theirs = (statistics.quantiles(found, n=10)[0] for found in times)
        print(
            f"{name:11} {what:24} {mine:5.0f} us of the processor, {mine / theirs:.2f} of the bare driver", flush=True
        )


def measure(backend: Backend, count: int) -> None:
    """Print all figures of *backend*."""
    with tempfile.TemporaryDirectory(prefix="holdfast-many-") as name, backend.running(Path(name)) as url:
        store = open_store(url, root=Path(name))
        if backend.name in BARE:
            measure_calls(backend.name, store, url)
        if isinstance(store, Indexes):
            measure_ends(backend.name, CountingStore(store), count)
        if isinstance(store, Closes):
            store.close()


def main() -> None:
    """Measure what the command line names."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    chosen = {name.lower() for name in sys.argv[2:]}
    about = machine()
    print(f"{about['processor']}; {about['system']}; load {about['load']}; {count:,} sessions of a user\n")
    for backend in BACKENDS:
        if backend.name.lower() in chosen or (not chosen and backend.name not in {"JSON", "memory"}):
            try:
                measure(backend, count)
            except FileNotFoundError as error:
                print(f"{backend.name:11} is left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
