"""Measure whether a session costs the same among a thousand others and among a million, and the room that it takes.

Run by ``make growth``. ``ARGS="redis --most 6"`` chooses the backends and the largest power of ten. The stores of every
size are filled first, and then take turns, so that other load on the machine affects each alike.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.requests import Request

from benchmarks.filling import PLACES, Place, Rows
from benchmarks.machine import machine, versions
from benchmarks.room import of_others
from holdfast.clock import DAY, system_clock
from holdfast.records.codec import MSGPACK
from holdfast.records.tokens import Keys, new_token
from holdfast.sessions.manager import Manager
from holdfast.stores.contract import Purges
from holdfast.stores.memory import MemoryStore

SEED = 20_240_611
_RANDOM = random.Random(SEED)
#: The session of a user who has signed in with Flask-Login.
SESSION: dict[str, Any] = {"_user_id": "4711", "_fresh": True, "_id": _RANDOM.randbytes(64).hex()}
#: The user whose sessions are listed, and how many there are; and the tokens that are kept for requests.
LISTED, KNOWN = 20, 200
#: The rounds, and the calls of each kind in a row: a purge is one call for so many records.
ROUNDS, BLOCK, PURGED = 40, 10, 50
OPERATIONS = ("read", "write", "login", "list", "purge")


def stored() -> bytes:
    """Return a session as a login stores it."""
    manager = Manager(MemoryStore())
    session = Request(manager)
    session.bind("4711")
    session.update(SESSION)
    session.commit()
    record = manager.store.load(session.handle or "")
    assert record is not None
    return record.data


def rows(count: int, now: int, tokens: list[str]) -> Iterator[tuple[str, bytes, int, str]]:
    """Yield *count* records, of as many users but for those of the listed one; *tokens* gets some of their tokens."""
    keys, data = Keys("session:"), stored()
    for number in range(count):
        token = new_token()
        if number < KNOWN:
            tokens.append(token)
        owner = "listed" if number % (count // LISTED) == 0 else f"user {number}"
        yield keys.key_of(token), data, now + 31 * DAY, keys.owner_of(owner)


class Shelf:
    """A store with so many sessions, and what is measured in it."""

    def __init__(self, place: Place, count: int) -> None:
        self.store = place.open()
        self.manager = Manager(self.store)
        self.tokens: list[str] = []
        began = time.perf_counter()
        empty = place.room()
        place.fill(self.store, Rows(rows(count, system_clock(), self.tokens)))
        self.room = (place.room() - empty) / count
        self.filled_in = time.perf_counter() - began
        self.times: dict[str, list[float]] = {name: [] for name in OPERATIONS}

    def measure(self, rng: random.Random) -> None:
        """Measure one block of each operation, in a random order."""
        for name in rng.sample(OPERATIONS, len(OPERATIONS)):
            action: Callable[[random.Random], float] = getattr(self, name)
            self.times[name].append(action(rng))

    def read(self, rng: random.Random) -> float:
        """Return the seconds of requests that read."""
        return _timed(lambda: Request(self.manager, rng.choice(self.tokens))["_user_id"])

    def write(self, rng: random.Random) -> float:
        """Return the seconds of requests that change the session."""

        def change() -> None:
            session = Request(self.manager, rng.choice(self.tokens))
            session["seen"] = rng.getrandbits(32)
            session.commit()

        return _timed(change)

    def login(self, rng: random.Random) -> float:
        """Return the seconds of logins of users who have no session."""

        def sign_in() -> None:
            session = Request(self.manager)
            session.bind(f"new {rng.getrandbits(64)}")
            session.update(SESSION)
            session.commit()

        return _timed(sign_in)

    def list(self, _: random.Random) -> float:
        """Return the seconds of lists of one user's sessions."""
        found = len(self.manager.of("listed"))
        assert found >= LISTED, found
        return _timed(lambda: self.manager.of("listed"))

    def purge(self, rng: random.Random) -> float:
        """Return the seconds of a purge, and nothing on a store that needs none."""
        if not isinstance(self.store, Purges):
            return 0.0
        now = system_clock()
        for _ in range(PURGED):
            self.store.create(f"{rng.getrandbits(256):064x}", b"", expires_at=now - 400_000)
        began = time.perf_counter()
        self.store.purge(now, limit=PURGED)
        return (time.perf_counter() - began) / PURGED


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(BLOCK):
        action()
    return (time.perf_counter() - began) / BLOCK


def measure(name: str, sizes: list[int], rng: random.Random) -> None:
    """Print the figures of the backend *name* with so many sessions."""
    with tempfile.TemporaryDirectory(prefix="holdfast-growth-") as folder, PLACES[name](Path(folder)) as place_of:
        shelves = [Shelf(place_of(number), size) for number, size in enumerate(sizes)]
        for _ in range(ROUNDS):
            for shelf in rng.sample(shelves, len(shelves)):
                shelf.measure(rng)
        for shelf, size in zip(shelves, sizes, strict=True):
            cells = [_cell(shelf.times[each], shelves[0].times[each]) for each in OPERATIONS]
            print(f"{name:11} {size:10,} {shelf.room:7.0f} " + " ".join(cells), flush=True)


def _cell(times: list[float], base: list[float]) -> str:
    if not any(times):
        return f"{'-':>15}"
    # Other work on a shared machine only adds to a time: the lower quartile has the least of it.
    mine, theirs = (statistics.quantiles(found, n=4)[0] for found in (times, base))
    return f"{mine * 1e6:8.0f} ({mine / theirs:.2f})"


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__)
    parser.add_argument("backends", nargs="*", choices=[*PLACES, []], help="default: all")
    parser.add_argument("--most", type=int, default=6, help="the largest power of ten (default: 6)")
    arguments = parser.parse_args()
    about = machine()
    print(f"{about['processor']}; {about['system']}; load {about['load']}")
    print(", ".join(f"{name} {number}" for name, number in versions(("redis", "psycopg", "pymongo")).items()))
    print(f"seed {SEED}; lower quartiles of {ROUNDS} rounds, {BLOCK} calls or a purge of {PURGED} in each, in turns")
    print(f"A session of {len(MSGPACK.dumps(SESSION))} bytes, {len(stored())} with what a login adds")
    print(f"Bytes that it takes elsewhere: {of_others(SESSION)}\n")
    print("Microseconds of a call (÷ the same among the fewest sessions), and bytes that a session takes\n")
    print(f"{'':11} {'sessions':>10} {'bytes':>7} " + " ".join(f"{name:>15}" for name in OPERATIONS))
    rng, sizes = random.Random(SEED), [10**power for power in range(3, arguments.most + 1)]
    for name in arguments.backends or PLACES:
        try:
            measure(name, sizes, rng)
        except FileNotFoundError as error:
            print(f"{name:11} is left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
