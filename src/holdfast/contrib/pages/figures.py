"""What the operator's page shows of a tally, and of a survey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from holdfast.contrib.pages import charts
from holdfast.contrib.pages.charts import MOST_SERIES, Plot, Series, figure
from holdfast.events import EVENTS
from holdfast.metrics.memory import Snapshot, Timing
from holdfast.metrics.observer import BOUNDS
from holdfast.sessions.flows import Survey

_MINUTE = 60_000
_PER_MINUTE = "per minute"

#: What legends call events whose names say too little.
_IN_WORDS = {
    "opens": "requests",
    "created": "sessions made",
    "bound": "logins",
    "gone": "changes dropped",
    "store_unavailable": "requests and calls",
}

#: How many users and devices a breakdown shows, and how much of an owner value: enough to tell users apart.
_MOST, SHORT = 10, 12


class Total(NamedTuple):
    """How often something happened: in the history that the tally keeps, and since it began."""

    meaning: str
    lately: int
    ever: int


class Latency(NamedTuple):
    """How one store operation went since the tally began. Times are in words."""

    operation: str
    calls: str
    errors: str
    mean: str
    p50: str
    p95: str
    p99: str


class Numbers:
    """A snapshot as totals, charts and a table.

    Attributes:
        since: When the tally began, in milliseconds since the epoch.
        minutes: How many minutes the charts go back.
        totals: Every event.
        charts: All charts.
        latencies: The operations that were called.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._history = snapshot["minutes"]
        self._ever = snapshot["counts"]
        self.since = snapshot["since"]
        self.minutes = len(self._history["counts"]["opens"])
        self._moments = [self._history["first"] + at * _MINUTE for at in range(self.minutes)]
        self.totals = [self._total(name) for name in EVENTS]
        self.charts = [*self._of_sessions(), *self._of_trouble(), *self._of_the_store(snapshot)]
        self.latencies = [_latency(name, timing) for name, timing in snapshot["store"].items() if timing["calls"]]

    def _of_sessions(self) -> Iterable[Markup]:
        yield charts.lines(self._plot("requests", "Requests and logins", self._counts("opens", "created", "bound")))
        yield charts.stacks(self._plot("saves", "Saves by outcome", self._labelled("saves")))
        yield charts.stacks(self._plot("ends", "Sessions ended, by reason", self._labelled("ended")))

    def _of_trouble(self) -> Iterable[Markup]:
        overlaps = self._counts("conflicts", "merges", "gone")
        yield charts.lines(self._plot("overlaps", "Requests that overlapped", overlaps))
        rejected = Series("rejected", self._sums("rejected"), figure(self._total("rejected").lately))
        yield charts.lines(self._plot("rejections", "Cookies not accepted", [rejected]))
        reasons = [(reason, self._ever[f"rejected.{reason}"]) for reason in EVENTS["rejected"].values]
        reasons = sorted((pair for pair in reasons if pair[1]), key=lambda pair: -pair[1])
        yield charts.rows("chart-reasons", "Cookies not accepted, by reason", "since the start", reasons)

    def _of_the_store(self, snapshot: Snapshot) -> Iterable[Markup]:
        yield charts.lines(self._plot("outages", "What the store failed", self._counts("store_unavailable")))
        busiest = sorted(snapshot["store"].items(), key=lambda item: -item[1]["calls"])[:MOST_SERIES]
        series = [
            Series(name, _in_ms(self._history["store"][name]["p95"])) for name, timing in busiest if timing["calls"]
        ]
        title = "Store latency: 95 of 100 calls took no longer"
        yield charts.lines(self._plot("latency", title, series, unit="milliseconds"))

    def _plot(self, ident: str, title: str, series: Sequence[Series], unit: str = _PER_MINUTE) -> Plot:
        return Plot(f"chart-{ident}", title, unit, self._moments, series)

    def _counts(self, *names: str) -> list[Series]:
        counts = self._history["counts"]
        return [Series(_IN_WORDS.get(name, name), counts[name], figure(sum(counts[name]))) for name in names]

    def _labelled(self, event: str) -> list[Series]:
        found = [self._history["counts"][f"{event}.{label}"] for label in EVENTS[event].values]
        return [
            Series(label, values, figure(sum(values)))
            for label, values in zip(EVENTS[event].values, found, strict=True)
        ]

    def _sums(self, event: str) -> list[int]:
        rows = [self._history["counts"][name] for name in _names(event)]
        return [sum(minute) for minute in zip(*rows, strict=True)]

    def _total(self, event: str) -> Total:
        return Total(EVENTS[event].meaning, sum(self._sums(event)), sum(self._ever[name] for name in _names(event)))


def breakdown(survey: Survey) -> list[Markup]:
    """Return charts of what *survey* has counted: by user, by device and by age."""
    users = [(f"{owner[:SHORT]}…", number) for owner, number in (survey.owners or Counter()).most_common(_MOST)]
    devices = survey.devices.most_common(_MOST)
    known = survey.devices.total()
    users += [("other users", _rest(survey.bound, users) if survey.owners else 0)]
    users += [("no user", survey.sessions - survey.bound)]
    devices += [("other devices", _rest(known, devices)), ("not known", survey.sessions - known)]
    return [
        charts.rows("chart-users", "By user", "sessions", _some(users)),
        charts.rows("chart-devices", "By device", "sessions", _some(devices)),
        charts.rows("chart-ages", "By age", "sessions", list(survey.ages.items())),
        charts.rows("chart-idle", "By the time since their last use", "sessions", list(survey.idle.items())),
    ]


def _rest(total: int, shown: Sequence[tuple[str, int]]) -> int:
    return total - sum(number for _, number in shown)


def _some(numbers: Iterable[tuple[str, int]]) -> list[tuple[str, float]]:
    return [(name, number) for name, number in numbers if number]


def _names(event: str) -> list[str]:
    return [f"{event}.{label}" if label else event for label in EVENTS[event].values]


def _in_ms(seconds: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else value * 1000 for value in seconds]


def _latency(operation: str, timing: Timing) -> Latency:
    mean = f"{figure(timing['seconds'] / timing['calls'] * 1000)} ms"
    quantiles = (_at_most(timing["p50"]), _at_most(timing["p95"]), _at_most(timing["p99"]))
    return Latency(operation, f"{timing['calls']:,}", f"{timing['errors']:,}", mean, *quantiles)


def _at_most(seconds: float | None) -> str:
    """Return an estimate in words, which tells no more than the buckets do."""
    if seconds is None or seconds >= BOUNDS[-1]:
        return f"over {BOUNDS[-1]:g} s"
    return f"{seconds * 1000:.2g} ms" if seconds > BOUNDS[0] else f"under {BOUNDS[0] * 1000:g} ms"
