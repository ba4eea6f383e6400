"""What observers are told, and what the tally makes of it."""

from __future__ import annotations

import itertools
import json
import math
import threading
from typing import Any, get_args

import pytest

from holdfast import events
from holdfast.errors import ConfigurationError, RecordTooLarge, StoreUnavailable
from holdfast.flows.context import Context
from holdfast.manager import Manager
from holdfast.observers.tally import Tally, quantile, tally_among
from holdfast.observing import BOUNDS, EVENTS, OPERATIONS, OUTCOMES, Observer, Observers, gather
from holdfast.operations import Create, Delete, Flow, Load, Operation, Pause, Purge, Replace, Touch, drive, step
from holdfast.session import Opened, ServerSession
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore, FakeClock

MINUTE = 60


class Log:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []
        self.times: list[tuple[str, float, str]] = []

    def count(self, event: str, label: str, /) -> None:
        self.counted.append((event, label))

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        self.times.append((operation, seconds, outcome))


class Broken:
    """An observer that always raises."""

    def count(self, event: str, label: str, /) -> None:
        raise RuntimeError("no room")

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        raise RuntimeError("no room")


class Request(ServerSession):
    """A session without a front end, for *token*."""

    def __init__(self, manager: Manager, token: str | None = None) -> None:
        super().__init__(keys=manager.keys, started_at=manager.clock())
        self._manager = manager
        self._token = token

    def load(self) -> Opened:
        return self._manager.open(self._token)


def steady() -> Observers:
    """Return a log by a timer that goes on by a quarter of a second whenever it is looked at."""
    return Observers([Log()], timer=itertools.count(0.0, 0.25).__next__)


def log_of(observers: Observers) -> Log:
    """Return the log that is the only one of *observers*."""
    (log,) = observers.members
    assert isinstance(log, Log)
    return log


# --- the words -------------------------------------------------------------------------------------------------------


def test_every_signal_is_an_event() -> None:
    """Whatever is signalled is counted under the same name."""
    signals = {name for name, value in vars(events).items() if isinstance(value, type(events.created))}
    assert signals <= EVENTS.keys()
    assert {name: vars(events)[name].name for name in signals} == {name: name for name in signals}


@pytest.mark.parametrize(
    ("event", "label", "words"),
    [
        ("saves", "outcome", events.SaveResult),
        ("ended", "reason", events.EndReason),
        ("rejected", "reason", events.RejectReason),
    ],
)
def test_labels_are_the_frozen_words(event: str, label: str, words: Any) -> None:
    """A label takes the words that the signals take, and no others."""
    assert (EVENTS[event].label, EVENTS[event].values) == (label, get_args(words))


def test_every_operation_is_timed_under_the_name_of_the_method() -> None:
    """Operations are called what the store's methods are called; a pause is none."""
    assert set(OPERATIONS) >= {"load", "create", "replace", "touch", "delete", "move", "keys_of", "confirm", "purge"}
    assert len(OPERATIONS) == len(get_args(Operation)) - 1
    assert all(name.isidentifier() for name in OPERATIONS)


# --- the hook --------------------------------------------------------------------------------------------------------


def test_each_store_call_is_timed_from_the_call_to_the_answer() -> None:
    """One call is one time, taken by the observers' own timer."""
    observers = steady()
    clock = FakeClock()
    store = MemoryStore(clock=clock)

    def flow() -> Flow[str]:
        version = yield Create("k", b"1", clock() + 1000)
        yield Replace("k", b"2", version, clock() + 1000)
        yield Touch("k", clock() + 2000)
        yield Load("k")
        yield Pause(0)
        yield Delete("k")
        yield Purge(clock(), 10)
        return "done"

    assert drive(observers.watch(flow()), store) == "done"
    names = ["create", "replace", "touch", "load", "delete", "purge"]
    assert log_of(observers).times == [(name, 0.25, "ok") for name in names]


def test_a_failed_call_is_timed_and_raised_in_the_flow() -> None:
    """An outage has its time and its outcome, and the flow can still answer to it."""
    observers = steady()
    store = FailingStore(MemoryStore())
    store.fail("load")

    def flow() -> Flow[str]:
        try:
            yield Load("k")
        except StoreUnavailable:
            yield Delete("k")
            return "caught"
        return "loaded"

    assert drive(observers.watch(flow()), store) == "caught"
    assert log_of(observers).times == [("load", 0.25, "unavailable"), ("delete", 0.25, "ok")]


def test_what_a_flow_does_not_catch_goes_on() -> None:
    """An error leaves a watched flow as it leaves any other."""
    observers = steady()
    store = FailingStore(MemoryStore())
    store.fail("load")
    with pytest.raises(StoreUnavailable):
        drive(observers.watch(step(Load("k"))), store)
    assert log_of(observers).times == [("load", 0.25, "unavailable")]


def test_a_record_too_large_is_not_an_outage() -> None:
    """What a store refuses for its size has an outcome of its own."""

    class Small(MemoryStore):
        def create(self, *args: Any, **kwargs: Any) -> Any:
            raise RecordTooLarge(2, 1)

    observers = steady()
    with pytest.raises(RecordTooLarge):
        drive(observers.watch(step(Create("k", b"12", 1))), Small())
    assert log_of(observers).times == [("create", 0.25, "too_large")]


def test_a_broken_observer_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A failing observer is logged, the others are told, and the session is stored all the same."""
    log = Log()
    manager = Manager(MemoryStore(), observer=[Broken(), log])
    request = Request(manager)
    request["a"] = 1
    assert manager.commit(request).result == "saved"
    token = request.opened.loaded.token if request.opened and request.opened.loaded else None
    assert Request(manager, token)["a"] == 1
    assert [event for event, _ in log.counted] == ["opens", "created", "saves", "opens", "loads"]
    assert [(name, outcome) for name, _, outcome in log.times] == [("create", "ok"), ("load", "ok")]
    assert "an observer failed to count 'opens'" in caplog.messages
    assert "an observer failed to take the time of 'create'" in caplog.messages


def test_no_observer_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an observer nothing is watched, timed or counted."""
    for method in ("watch", "heard", "count", "timed"):
        monkeypatch.delattr(Observers, method)
    nobodies: list[list[Observer] | None] = [None, []]
    for nobody in nobodies:
        manager = Manager(MemoryStore(), observer=nobody)
        request = Request(manager)
        request["a"] = 1
        assert manager.commit(request).result == "saved"
        assert manager.observers == ()
        assert manager.context.observers is None


def test_several_observers_are_told_in_order() -> None:
    """A manager has the observers it was given, one or several, alone or gathered."""
    first, second = Log(), Log()
    assert Manager(MemoryStore(), observer=first).observers == (first,)
    assert Manager(MemoryStore(), observer=[first, second]).observers == (first, second)
    gathered = Observers([first, second])
    assert gather(gathered) is gathered
    gathered.count("opens")
    gathered.timed("load", 0.5, "ok")
    assert first.counted == second.counted == [("opens", "")]
    assert first.times == second.times == [("load", 0.5, "ok")]


@pytest.mark.parametrize("wrong", [Tally, object(), [Log(), 7], "tally", print])
def test_what_is_no_observer_is_refused(wrong: Any) -> None:
    """A class instead of its object, or anything without the two methods, is an error at once."""
    with pytest.raises(ConfigurationError, match=r"observer is .*: it must be an object with the methods"):
        Manager(MemoryStore(), observer=wrong)


def test_a_signal_that_is_no_event_is_not_counted() -> None:
    """Observers hear nothing but the frozen words."""
    log = Log()
    Observers([log]).heard("something_new", {"reason": "why"})
    assert log.counted == []


def test_nothing_but_the_label_leaves_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a signal's handle, owner and error an observer learns nothing."""
    log = Log()
    context: Context = Manager(MemoryStore(), observer=log).context
    context.emit(events.ended, handle="secret", owner="secret", reason="logout")
    context.emit(events.rotated, handle="secret", previous="secret")
    context.emit(events.store_unavailable, error=StoreUnavailable("secret"))
    assert log.counted == [("ended", "logout"), ("rotated", ""), ("store_unavailable", "")]


def test_a_sweep_that_fails_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The removal of expired records is timed, and when it fails the session it follows is stored all the same."""
    monkeypatch.setattr("holdfast.manager._SWEEP_EVERY", 1)
    log = Log()
    store = FailingStore(MemoryStore())
    manager = Manager(store, observer=log)
    store.fail("purge")
    request = Request(manager)
    request["a"] = 1
    assert manager.commit(request).result == "saved"
    assert [(name, outcome) for name, _, outcome in log.times] == [("create", "ok"), ("purge", "unavailable")]
    assert ("store_unavailable", "") in log.counted


# --- the tally -------------------------------------------------------------------------------------------------------


def test_a_tally_begins_at_nothing() -> None:
    """Every name there is is in the first snapshot, at 0, and it goes into JSON."""
    clock = FakeClock(1_800_000_030_000)
    snapshot = Tally(minutes=3, clock=clock).snapshot()
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
    counts = Tally().snapshot()["counts"]
    assert {"opens", "saves.merged", "ended.logout", "rejected.unknown_id", "store_unavailable"} <= counts.keys()
    assert len(counts) == sum(len(event.values) for event in EVENTS.values())


def test_a_tally_counts_in_total_and_by_the_minute() -> None:
    """A minute that passed is one step to the left; a minute beyond the history is in the total alone."""
    clock = FakeClock()
    tally = Tally(minutes=3, clock=clock)
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
    """When nothing happened for as long as the history goes back, it is empty, and the total stands."""
    clock = FakeClock()
    tally = Tally(minutes=3, clock=clock)
    tally.count("opens")
    clock.advance(idle * MINUTE)
    assert tally.snapshot()["minutes"]["counts"]["opens"] == [0, 0, 0]
    assert tally.snapshot()["counts"]["opens"] == 1


def test_a_clock_set_back_loses_nothing() -> None:
    """A count that comes from before the present minute is in the present minute."""
    clock = FakeClock()
    tally = Tally(minutes=3, clock=clock)
    tally.count("opens")
    clock.advance(-2 * MINUTE)
    tally.count("opens")
    assert tally.snapshot()["minutes"]["counts"]["opens"] == [0, 0, 2]


def test_a_tally_adds_times_up() -> None:
    """Calls, errors, seconds and buckets are what was timed, in total and by the minute."""
    clock = FakeClock()
    tally = Tally(minutes=2, clock=clock)
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
    tally = Tally(minutes=5, clock=clock)
    for _ in range(24 * 60):
        tally.count("opens")
        tally.timed("load", 0.001, "ok")
        clock.advance(MINUTE)
    assert len(tally._rows) == 5
    assert len({len(row) for row in tally._rows} | {len(tally._total)}) == 1


def test_a_tally_counts_every_thread() -> None:
    """Threads that count at once lose nothing, also while the minutes turn and snapshots are taken."""
    clock = FakeClock()
    tally = Tally(minutes=60, clock=clock)

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


def test_the_tally_is_found() -> None:
    """A page or a command finds the tally among a manager's observers, or that there is none."""
    tally = Tally()
    assert tally_among(Manager(MemoryStore(), observer=[Log(), tally]).observers) is tally
    assert tally_among(Manager(MemoryStore(), observer=Log()).observers) is None


def test_outcomes_are_closed() -> None:
    """A timed operation ends in one of three ways."""
    assert OUTCOMES == ("ok", "unavailable", "too_large")
