"""The numbers of the in-memory metrics."""

from __future__ import annotations

import json
import math
import threading

import pytest

from holdfast.events import EVENTS
from holdfast.metrics.memory import InMemoryMetrics, quantile
from holdfast.metrics.observer import BOUNDS, OPERATIONS
from holdfast.testing import FakeClock

MINUTE = 60


def test_a_tally_begins_at_nothing() -> None:
    """Every name there is is in the first snapshot, at 0, and it goes into JSON."""
    clock = FakeClock()
    snapshot = InMemoryMetrics(clock=clock).snapshot()
    assert json.loads(json.dumps(snapshot)) == snapshot
    assert set(snapshot["counts"].values()) == {0}
    assert set(snapshot["store"]) == set(OPERATIONS)
    assert snapshot["store"]["load"] == {
        "calls": 0,
        "errors": 0,
        "seconds": 0,
        "p50": None,
        "p95": None,
        "p99": None,
        "buckets": [0] * (len(BOUNDS) + 1),
    }
    assert snapshot["bounds"] == list(BOUNDS)
    assert (snapshot["since"], snapshot["until"]) == (clock(), clock())


def test_a_tally_names_each_label() -> None:
    """A series is an event, or an event and the value of its label."""
    counts = InMemoryMetrics().snapshot()["counts"]
    assert {"opens", "saves.merged", "ended.logout", "rejected.unknown_id", "store_unavailable"} <= counts.keys()
    assert len(counts) == sum(len(event.values) for event in EVENTS.values())


def test_a_tally_says_since_when_it_counts() -> None:
    """A snapshot has the moment at which counting began, and its own."""
    clock = FakeClock()
    began, tally = clock(), InMemoryMetrics(clock=clock)
    tally.count("saves", "merged")
    clock.advance(MINUTE)
    tally.count("saves", "merged")
    snapshot = tally.snapshot()
    assert (snapshot["since"], snapshot["until"]) == (began, began + MINUTE * 1000)
    assert snapshot["counts"]["saves.merged"] == 2
    assert snapshot["counts"]["saves.saved"] == 0


def test_a_snapshot_stays_as_it_is() -> None:
    """What is counted later is in the next snapshot."""
    tally = InMemoryMetrics()
    snapshot = tally.snapshot()
    tally.count("opens")
    tally.timed("load", 0.001, "ok")
    assert (snapshot["counts"]["opens"], snapshot["store"]["load"]["calls"]) == (0, 0)


def test_a_tally_adds_times_up() -> None:
    """Calls, errors, seconds and buckets are what was timed."""
    tally = InMemoryMetrics()
    tally.timed("load", 0.0002, "ok")
    tally.timed("load", 0.001, "ok")
    tally.timed("load", 60.0, "unavailable")
    snapshot = tally.snapshot()
    load = snapshot["store"]["load"]
    assert (load["calls"], load["errors"]) == (3, 1)
    assert load["seconds"] == pytest.approx(60.0012)
    assert load["buckets"] == [0, 1, 0, 1, *[0] * 11, 1]
    assert load["p99"] == BOUNDS[-1]
    assert snapshot["store"]["create"]["calls"] == 0


def test_a_quantile_is_right_to_the_bucket() -> None:
    """An estimate is in the bucket that the true value is in, for any share of any times."""
    times = [0.00004 * 1.1**n for n in range(100)]
    buckets = [0] * (len(BOUNDS) + 1)
    for seconds in times:
        buckets[sum(bound < seconds for bound in BOUNDS)] += 1
    for share in range(1, 101):
        true = times[math.ceil(share / 100 * len(times)) - 1]
        upper = next(bound for bound in BOUNDS if bound >= true)
        lower = max([bound for bound in BOUNDS if bound < true], default=0.0)
        estimate = quantile(buckets, share / 100)
        assert estimate is not None
        assert lower < estimate <= upper


def test_a_tally_counts_every_thread() -> None:
    """Concurrent threads lose no count, also while snapshots are taken."""
    tally = InMemoryMetrics()

    def work() -> None:
        for _ in range(300):
            tally.count("opens")
            tally.timed("load", 0.001, "ok")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        tally.snapshot()
    snapshot = tally.snapshot()
    assert snapshot["counts"]["opens"] == 1200
    assert snapshot["store"]["load"]["calls"] == 1200
