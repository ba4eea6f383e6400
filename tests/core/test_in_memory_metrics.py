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
    clock = FakeClock(1_800_000_030_000)
    snapshot = InMemoryMetrics(minutes=3, clock=clock).snapshot()
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
    assert snapshot["minutes"]["first"] == 1_800_000_000_000 - 2 * MINUTE * 1000
    assert snapshot["minutes"]["counts"]["opens"] == [0, 0, 0]
    assert snapshot["minutes"]["store"]["load"] == {
        "calls": [0, 0, 0],
        "errors": [0, 0, 0],
        "seconds": [0, 0, 0],
        "p95": [None, None, None],
    }


def test_a_tally_names_each_label() -> None:
    """A series is an event, or an event and the value of its label."""
    counts = InMemoryMetrics().snapshot()["counts"]
    assert {"opens", "saves.merged", "ended.logout", "rejected.unknown_id", "store_unavailable"} <= counts.keys()
    assert len(counts) == sum(len(event.values) for event in EVENTS.values())


def test_a_tally_counts_in_total_and_by_the_minute() -> None:
    """A minute that passed is one step to the left; a minute beyond the history is in the total alone."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=3, clock=clock)
    tally.count("opens")
    tally.count("saves", "merged")
    clock.advance(MINUTE)
    tally.count("opens")
    tally.count("opens")
    clock.advance(MINUTE)
    snapshot = tally.snapshot()
    assert snapshot["minutes"]["counts"]["opens"] == [1, 2, 0]
    assert snapshot["minutes"]["counts"]["saves.merged"] == [1, 0, 0]
    clock.advance(MINUTE)
    tally.count("opens")
    snapshot = tally.snapshot()
    assert snapshot["minutes"]["counts"]["opens"] == [2, 0, 1]
    assert snapshot["counts"]["opens"] == 4
    assert snapshot["until"] - snapshot["minutes"]["first"] >= 2 * MINUTE * 1000


@pytest.mark.parametrize("idle", [3, 4, 1000])
def test_a_tally_forgets_after_a_long_silence(idle: int) -> None:
    """After a time without events as long as the history, it is empty, and the total is unchanged."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=3, clock=clock)
    tally.count("opens")
    clock.advance(idle * MINUTE)
    assert tally.snapshot()["minutes"]["counts"]["opens"] == [0, 0, 0]
    assert tally.snapshot()["counts"]["opens"] == 1


def test_a_clock_set_back_loses_nothing() -> None:
    """A count that comes from before the present minute is in the present minute."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=3, clock=clock)
    tally.count("opens")
    clock.advance(-2 * MINUTE)
    tally.count("opens")
    assert tally.snapshot()["minutes"]["counts"]["opens"] == [0, 0, 2]


def test_a_tally_adds_times_up() -> None:
    """Calls, errors, seconds and buckets are what was timed, in total and by the minute."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=2, clock=clock)
    tally.timed("load", 0.0002, "ok")
    tally.timed("load", 0.001, "ok")
    clock.advance(MINUTE)
    tally.timed("load", 60.0, "unavailable")
    snapshot = tally.snapshot()
    load = snapshot["store"]["load"]
    assert (load["calls"], load["errors"]) == (3, 1)
    assert load["seconds"] == pytest.approx(60.0012)
    assert load["buckets"] == [0, 1, 0, 1, *[0] * 11, 1]
    minutes = snapshot["minutes"]["store"]["load"]
    assert (minutes["calls"], minutes["errors"]) == ([2, 1], [0, 1])
    assert minutes["seconds"] == [pytest.approx(0.0012), 60.0]
    assert minutes["p95"][1] == BOUNDS[-1]
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


def test_a_tally_does_not_grow() -> None:
    """A day of use takes no more room than a minute of it."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=5, clock=clock)
    for _ in range(24 * 60):
        tally.count("opens")
        tally.timed("load", 0.001, "ok")
        clock.advance(MINUTE)
    assert len(tally._rows) == 5
    assert len({len(row) for row in tally._rows} | {len(tally._total)}) == 1


def test_a_tally_counts_every_thread() -> None:
    """Concurrent threads lose no count, also while the minutes turn and snapshots are taken."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=60, clock=clock)

    def work() -> None:
        for _ in range(300):
            tally.count("opens")
            tally.timed("load", 0.001, "ok")
            clock.advance_ms(100)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        tally.snapshot()
    snapshot = tally.snapshot()
    assert snapshot["counts"]["opens"] == sum(snapshot["minutes"]["counts"]["opens"]) == 1200
    assert snapshot["store"]["load"]["calls"] == sum(snapshot["minutes"]["store"]["load"]["calls"]) == 1200
