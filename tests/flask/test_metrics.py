"""The numbers of an application in memory, in Prometheus and in OpenTelemetry."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.web import STRANGER, Web

from holdfast.errors import ConfigurationError
from holdfast.events import EVENTS
from holdfast.flask import session
from holdfast.metrics.memory import InMemoryMetrics
from holdfast.metrics.observer import BOUNDS, Observers
from holdfast.metrics.opentelemetry import OpenTelemetryObserver
from holdfast.metrics.prometheus import PrometheusObserver

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

# --- the tally -------------------------------------------------------------------------------------------------------


def test_a_tally_in_an_application() -> None:
    """A page or a command finds the hour in one snapshot."""
    tally = InMemoryMetrics()
    web = Web(observer=tally)
    web.put(a=1)
    web.data()
    web.send(f"session={STRANGER}", lambda: session.get("a"))
    snapshot = json.loads(json.dumps(tally.snapshot()))
    counts = {name: count for name, count in snapshot["counts"].items() if count}
    assert counts == {
        "opens": 3,
        "loads": 1,
        "created": 1,
        "saves.saved": 1,
        "saves.unchanged": 2,
        "rejected.unknown_id": 1,
    }
    assert {name: timing["calls"] for name, timing in snapshot["store"].items() if timing["calls"]} == {
        "create": 1,
        "load": 2,
    }


# --- Prometheus ------------------------------------------------------------------------------------------------------


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return what a scrape of *registry* says: the value of each sample, by its name and the values of its labels."""
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created") or sample.name == "holdfast_created_total"
    }


def test_prometheus() -> None:
    """A scrape shows every counter under its name, those at 0 too, and the store's times."""
    registry = CollectorRegistry()
    web = Web(observer=Observers([PrometheusObserver(registry)], timer=itertools.count(0.0, 0.25).__next__))
    web.put(a=1)
    web.data()
    web.send(f"session={STRANGER}", lambda: session.get("a"))
    with web.failing.outage():
        web.do(lambda: session.get("a"))
    found = samples(registry)
    assert found["holdfast_opens_total",] == 4
    assert found["holdfast_created_total",] == 1
    assert found["holdfast_saves_total", "saved"] == 1
    assert found["holdfast_rejected_total", "unknown_id"] == 1
    assert found["holdfast_rejected_total", "store_unavailable"] == 1
    assert found["holdfast_store_unavailable_total",] == 1
    assert {name[0] for name in found} > {f"holdfast_{event}_total" for event in EVENTS}
    assert found["holdfast_conflicts_total",] == found["holdfast_ended_total", "evicted"] == 0
    assert found["holdfast_store_seconds_count", "load", "ok"] == 2
    assert found["holdfast_store_seconds_sum", "load", "ok"] == 0.5
    assert found["holdfast_store_seconds_count", "load", "unavailable"] == 1
    text = generate_latest(registry).decode()
    assert "# HELP holdfast_rejected_total Tokens not accepted.\n# TYPE holdfast_rejected_total counter\n" in text
    assert 'holdfast_store_seconds_bucket{le="0.1",operation="load",outcome="ok"} 0.0\n' in text
    assert 'holdfast_store_seconds_bucket{le="0.25",operation="load",outcome="ok"} 2.0\n' in text


def test_prometheus_default_registry() -> None:
    """Without a registry the metrics are where the client's own exposition finds them; a second observer is refused."""
    observer = PrometheusObserver()
    try:
        observer.count("opens")
        assert REGISTRY.get_sample_value("holdfast_opens_total") == 1
        with pytest.raises(ConfigurationError, match="make one PrometheusObserver and give it to every application"):
            PrometheusObserver()
    finally:
        for collector in {REGISTRY._names_to_collectors[name] for name in list(REGISTRY._names_to_collectors)}:
            if any(metric.name.startswith("holdfast_") for metric in collector.collect()):
                REGISTRY.unregister(collector)


# --- OpenTelemetry ---------------------------------------------------------------------------------------------------


def points(reader: InMemoryMetricReader) -> dict[tuple[str, ...], NumberDataPoint | HistogramDataPoint]:
    """Return what *reader* collects: each point, by the metric's name and its attributes as text."""
    data: Any = reader.get_metrics_data()
    return {
        (metric.name, *(f"{name}={value}" for name, value in point.attributes.items())): point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_opentelemetry() -> None:
    """A reader collects the counters and the store's times, in buckets that fit them."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    timer = itertools.count(0.0, 0.25).__next__
    web = Web(observer=Observers([OpenTelemetryObserver(provider)], timer=timer))
    web.put(a=1)
    web.data()
    web.send(f"session={STRANGER}", lambda: session.get("a"))
    with web.failing.outage():
        web.do(lambda: session.get("a"))
    found: Any = points(reader)
    provider.shutdown()
    assert found["holdfast.opens",].value == 4
    assert found["holdfast.created",].value == 1
    assert found["holdfast.saves", "holdfast.outcome=saved"].value == 1
    assert found["holdfast.rejected", "holdfast.reason=unknown_id"].value == 1
    load = found["holdfast.store.duration", "holdfast.operation=load"]
    assert (load.count, load.sum, tuple(load.explicit_bounds)) == (2, 0.5, BOUNDS)
    failed = found["holdfast.store.duration", "holdfast.operation=load", "error.type=unavailable"]
    assert failed.count == 1


@pytest.mark.parametrize(
    ("package", "make", "extra"),
    [
        ("prometheus_client", PrometheusObserver, "prometheus"),
        ("opentelemetry.metrics", OpenTelemetryObserver, "opentelemetry"),
    ],
)
def test_a_missing_package_is_named(
    package: str, make: Callable[[], object], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its package an observer says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'holdfast\[{extra}\]'"):
        make()
