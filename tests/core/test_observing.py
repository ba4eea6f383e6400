"""The events of observers."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from support import seams
from support.observers import Broken
from support.requests import Request

from holdfast import events
from holdfast.errors import ConfigurationError, RecordTooLarge, StoreUnavailable
from holdfast.events import EVENTS, EventName
from holdfast.metrics.memory import InMemoryMetrics
from holdfast.metrics.observer import OPERATIONS, OUTCOMES, Observer, Observers, gather
from holdfast.sessions import ops
from holdfast.sessions.flows.context import Context
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import PAUSE, Call, Flow, create, delete, drive, load, pause, purge, replace, touch
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore, FakeClock


class Log:
    """An observer that records its calls."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []
        self.times: list[tuple[str, float, str]] = []

    def count(self, event: str, label: str, /) -> None:
        self.counted.append((event, label))

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        self.times.append((operation, seconds, outcome))


def steady() -> Observers:
    """Return a log by a timer that goes on by a quarter of a second whenever it is looked at."""
    return Observers([Log()], timer=itertools.count(0.0, 0.25).__next__)


def log_of(observers: Observers) -> Log:
    """Return the log that is the only one of *observers*."""
    (log,) = observers.members
    assert isinstance(log, Log)
    return log


def _returned(value: object) -> Any:
    return get_type_hints(value).get("return") if inspect.isfunction(value) else None


# --- the words -------------------------------------------------------------------------------------------------------


def test_every_signal_is_an_event() -> None:
    """Each signal is counted under the same name."""
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
    """Every call that a flow can make of a store is timed under the name of the store's method; a pause is none."""
    helpers = {name for name, value in vars(ops).items() if get_origin(_returned(value)) is Call}
    assert set(OPERATIONS) == helpers - {PAUSE}


def test_outcomes_are_closed() -> None:
    """A timed operation ends in one of three ways."""
    assert OUTCOMES == ("ok", "unavailable", "too_large")


# --- the hook --------------------------------------------------------------------------------------------------------


def test_each_store_call_is_timed_from_the_call_to_the_answer() -> None:
    """One call is one time, taken by the observers' own timer."""
    observers = steady()
    clock = FakeClock()
    store = MemoryStore(clock=clock)

    def flow() -> Flow[str]:
        version = yield from create("k", b"1", clock() + 1000)
        assert version is not None
        yield from replace("k", b"2", version, clock() + 1000)
        yield from touch("k", clock() + 2000)
        yield from load("k")
        yield from pause(0)
        yield from delete("k")
        yield from purge(clock(), 10)
        return "done"

    assert drive(flow(), store, observers.timed, timer=observers.timer) == "done"
    names = ["create", "replace", "touch", "load", "delete", "purge"]
    assert log_of(observers).times == [(name, 0.25, "ok") for name in names]


def test_a_failed_call_is_timed_and_raised_in_the_flow() -> None:
    """An outage has its time and its outcome, and the flow can still answer to it."""
    observers = steady()
    store = FailingStore(MemoryStore())
    store.fail("load")

    def flow() -> Flow[str]:
        try:
            yield from load("k")
        except StoreUnavailable:
            yield from delete("k")
            return "caught"
        return "loaded"

    assert drive(flow(), store, observers.timed, timer=observers.timer) == "caught"
    assert log_of(observers).times == [("load", 0.25, "unavailable"), ("delete", 0.25, "ok")]


def test_what_a_flow_does_not_catch_goes_on() -> None:
    """An error leaves a flow that is timed as it leaves any other."""
    observers = steady()
    store = FailingStore(MemoryStore())
    store.fail("load")
    with pytest.raises(StoreUnavailable):
        drive(load("k"), store, observers.timed, timer=observers.timer)
    assert log_of(observers).times == [("load", 0.25, "unavailable")]


def test_a_record_too_large_is_not_an_outage() -> None:
    """Data that a store refuses for its size has an outcome of its own."""

    class Small(MemoryStore):
        def create(self, *args: Any, **kwargs: Any) -> Any:
            raise RecordTooLarge(2, 1)

    observers = steady()
    with pytest.raises(RecordTooLarge):
        drive(create("k", b"12", 1), Small(), observers.timed, timer=observers.timer)
    assert log_of(observers).times == [("create", 0.25, "too_large")]


def test_a_broken_observer_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A failing observer is logged, the others are called, and the session is still stored."""
    log = Log()
    manager = Manager(MemoryStore(), observer=[Broken(), log])
    request = Request(manager)
    request["a"] = 1
    assert request.commit().result == "saved"
    assert Request(manager, request.token)["a"] == 1
    assert [event for event, _ in log.counted] == ["opens", "created", "saves", "opens", "loads"]
    assert [(name, outcome) for name, _, outcome in log.times] == [("create", "ok"), ("load", "ok")]
    assert "a receiver of 'opens' failed" in caplog.messages
    assert "a receiver of 'create' failed" in caplog.messages


def test_no_observer_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an observer no event or time is counted."""
    for method in ("count", "timed"):
        monkeypatch.delattr(Observers, method)
    nobodies: list[list[Observer] | None] = [None, []]
    for nobody in nobodies:
        manager = Manager(MemoryStore(), observer=nobody)
        request = Request(manager)
        request["a"] = 1
        assert request.commit().result == "saved"


def test_several_observers_are_told_in_order() -> None:
    """One observer, or several, are gathered in the order in which they were given."""
    first, second = Log(), Log()
    for given, members in ((first, (first,)), ([first, second], (first, second))):
        gathered = gather(given)
        assert gathered is not None
        assert gathered.members == members
    gathered = Observers([first, second])
    assert gather(gathered) is gathered
    gathered.count("opens", {})
    gathered.timed("load", 0.5, None)
    assert first.counted == second.counted == [("opens", "")]
    assert first.times == second.times == [("load", 0.5, "ok")]


@pytest.mark.parametrize("wrong", [InMemoryMetrics, object(), [Log(), 7], "tally", print])
def test_what_is_no_observer_is_refused(wrong: Any) -> None:
    """A class instead of its object, or anything without the two methods, is an error at once."""
    with pytest.raises(ConfigurationError, match=r"observer is .*: it must be an object with the methods"):
        Manager(MemoryStore(), observer=wrong)


def test_every_event_can_be_emitted_and_no_other() -> None:
    """The names that a type checker accepts are those of the table, and each reaches a subscriber."""
    found: list[str] = []
    stream = events.Events(None)
    stream.subscribe(lambda event, details: found.append(event))
    for event in get_args(EventName):
        stream.emit(event, **{EVENTS[event].label: ""})
    assert found == list(EVENTS)
    with pytest.raises(KeyError):
        stream.emit("something_new")  # type: ignore[arg-type]  # that it is refused is the test


def test_a_subscriber_gets_only_the_events_it_asked_for() -> None:
    """One that names events gets those, with their details."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    stream = events.Events(None)
    stream.subscribe(lambda event, details: found.append((event, details)), "ended", "gone")
    stream.emit("ended", handle="h", reason="logout")
    stream.emit("rotated", handle="h", previous="g")
    assert found == [("ended", {"handle": "h", "reason": "logout"})]


def test_nothing_but_the_label_leaves_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """An observer does not get a signal's handle, owner and error."""
    log = Log()
    context: Context = Manager(MemoryStore(), observer=log).context
    context.events.emit("ended", handle="secret", owner="secret", reason="logout")
    context.events.emit("rotated", handle="secret", previous="secret")
    context.events.emit("store_unavailable", error=StoreUnavailable("secret"))
    assert log.counted == [("ended", "logout"), ("rotated", ""), ("store_unavailable", "")]


def test_a_sweep_that_fails_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The removal of expired records is timed, and when it fails the session it follows is stored all the same."""
    seams.MANAGER_PURGES_EVERY.plant(monkeypatch, 1)
    log = Log()
    store = FailingStore(MemoryStore())
    manager = Manager(store, observer=log)
    store.fail("purge")
    request = Request(manager)
    request["a"] = 1
    assert request.commit().result == "saved"
    assert [(name, outcome) for name, _, outcome in log.times] == [("create", "ok"), ("purge", "unavailable")]
    assert ("store_unavailable", "") in log.counted
