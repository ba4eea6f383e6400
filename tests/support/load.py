"""Saves from several threads while a server is lost, and what came of them."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict, Gone
from holdfast.stores.contract import Confirms, Store

_HOUR = 3_600_000

#: One of so many saves of a record is confirmed.
_CONFIRMED = 5


@dataclass
class Figures:
    """The results of the saves.

    Attributes:
        saved: How many were acknowledged.
        lost: How many of those were not there any more later.
        lost_for: For how many seconds, at most, a record's saves were acknowledged and lost.
        confirmed: How many were confirmed as safe, and
        unsafe: how many of those were not there any more later.
        errors: How many calls raised `StoreUnavailable`, by what caused it.
        strange: Impossible results: another error, another record, a missing record.
        slowest: How many seconds the longest call took.
        outage: For how many seconds a record could not be saved, at most.
    """

    saved: int = 0
    lost: int = 0
    lost_for: float = 0.0
    confirmed: int = 0
    unsafe: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    slowest: float = 0.0
    outage: float = 0.0

    def __str__(self) -> str:
        """Return the figures in one line."""
        return (
            f"{self.saved} saves acknowledged, {self.lost} lost; {self.confirmed} confirmed, {self.unsafe} lost; "
            f"{self.errors.total()} errors {dict(self.errors)}; outage {self.outage:.1f} s, "
            f"slowest call {self.slowest:.2f} s"
        )


class _Saver(threading.Thread):
    """Counts up a number in a few records of its own, one after the other, until it is stopped."""

    def __init__(self, store: Store, owner: str) -> None:
        super().__init__(daemon=True)
        self.figures = Figures()
        self.stopping = False
        self._store = store
        self._owner = owner
        self._expires_at = time.time_ns() // 1_000_000 + _HOUR
        self._numbers = {secrets.token_hex(32): [0, 0] for _ in range(6)}
        self.saved_at: dict[str, float] = {}
        self._times: dict[str, dict[int, float]] = {key: {} for key in self._numbers}
        for key in self._numbers:
            store.create(key, f"{key} 0".encode(), expires_at=self._expires_at, owner=owner)
            self.saved_at[key] = time.monotonic()

    def run(self) -> None:
        while not self.stopping:
            for key in self._numbers:
                start = time.monotonic()
                try:
                    self._save(key)
                except StoreUnavailable as error:
                    self.figures.errors[type(error.__cause__).__name__] += 1
                    time.sleep(0.02)
                except Exception as error:  # noqa: BLE001 (whatever it is, the test is to hear of it)
                    self.figures.strange.append(repr(error))
                    return
                self.figures.slowest = max(self.figures.slowest, time.monotonic() - start)

    def has_confirmed(self) -> bool:
        """Return whether each record was saved often enough for the store to be asked to confirm it."""
        return all(saved >= _CONFIRMED for saved, _ in self._numbers.values())

    def _save(self, key: str) -> None:
        record, figures, number = self._store.load(key), self.figures, self._numbers[key]
        assert record is not None, "a record is gone"
        name, count = record.data.decode().split()
        assert (name, record.owner) == (key, self._owner), "another record was served"
        if number[0] > int(count):
            figures.lost += number[0] - int(count)
            times = self._times[key]
            figures.lost_for = max(figures.lost_for, times[number[0]] - times[int(count) + 1])
        figures.unsafe += max(0, number[1] - int(count))
        data = f"{key} {int(count) + 1}".encode()
        answer = self._store.replace(key, data, expect=record.version, expires_at=self._expires_at, owner=self._owner)
        assert not isinstance(answer, Conflict | Gone), f"{answer} though nobody else saves"
        number[0] = int(count) + 1
        figures.saved += 1
        now = time.monotonic()
        figures.outage = max(figures.outage, now - self.saved_at[key])
        self.saved_at[key] = self._times[key][number[0]] = now
        if isinstance(self._store, Confirms) and number[0] % _CONFIRMED == 0 and self._store.confirm(key):
            figures.confirmed += 1
            number[1] = number[0]


def save_through(stores: Sequence[Store], strike: Callable[[], object], *, within: float = 20) -> Figures:
    """Save on each of *stores* in a thread of its own, *strike*, and go on until all records can be saved again.

    It strikes after half a second, and not before each store was asked to confirm. It goes on until a second after each
    record was saved, or *within* so many seconds, after which something is strange.
    """
    savers = [_Saver(store, f"owner {number}") for number, store in enumerate(stores)]
    for saver in savers:
        saver.start()
    time.sleep(0.5)
    while any(saver.is_alive() and not saver.has_confirmed() for saver in savers):
        time.sleep(0.05)
    struck = time.monotonic()
    strike()
    while any(saver.is_alive() and min(saver.saved_at.values()) < struck + 1 for saver in savers):
        if time.monotonic() > struck + within:
            savers[0].figures.strange.append(f"a record cannot be saved {within} seconds after")
            break
        time.sleep(0.05)
    for saver in savers:
        saver.stopping = True
    for saver in savers:
        saver.join()
    return _sum(saver.figures for saver in savers)


def _sum(parts: Iterable[Figures]) -> Figures:
    total = Figures()
    for part in parts:
        total.saved += part.saved
        total.lost += part.lost
        total.lost_for = max(total.lost_for, part.lost_for)
        total.confirmed += part.confirmed
        total.unsafe += part.unsafe
        total.errors += part.errors
        total.strange += part.strange
        total.slowest = max(total.slowest, part.slowest)
        total.outage = max(total.outage, part.outage)
    return total
