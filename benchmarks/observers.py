"""Measure the cost of an observer per request, on the memory store, where its share is largest.

Run by ``make bench-observers``. The requests are those of the other measurements.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from itertools import chain
from pathlib import Path

from flask import Flask
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from benchmarks.apps import PATHS, with_holdfast, without_sessions
from benchmarks.machine import machine, versions
from benchmarks.measure import BASE, measured
from holdfast.metrics.memory import InMemoryMetrics
from holdfast.metrics.opentelemetry import OpenTelemetryObserver
from holdfast.metrics.prometheus import PrometheusObserver

SEED = 20_240_611
SAMPLES = 2000
DISTRIBUTIONS = ("Flask", "Werkzeug", "prometheus-client", "opentelemetry-sdk")


def main() -> None:
    """Print the median time of each kind of request, with each observer and with none."""
    provider = MeterProvider([InMemoryMetricReader()])
    observers = {
        "no observer": None,
        "InMemoryMetrics": InMemoryMetrics(),
        "PrometheusObserver": PrometheusObserver(CollectorRegistry()),
        "OpenTelemetryObserver": OpenTelemetryObserver(provider),
    }
    with tempfile.TemporaryDirectory() as folder:
        apps: dict[str, Flask] = {BASE[0]: without_sessions()}
        for name, observer in observers.items():
            apps[name] = with_holdfast("memory://", Path(folder), observer=observer)
        found = measured(apps, samples=SAMPLES, rng=random.Random(SEED))
    provider.shutdown()
    about = machine()
    print(f"{about['processor']}; {about['system']}; load {about['load']}")
    print(", ".join(f"{name} {version}" for name, version in versions(DISTRIBUTIONS).items()))
    print(f"seed {SEED}; {SAMPLES} requests of each kind, in turns; median microseconds of processor time")
    print(" " * 22, *(f"{path:>10}" for path in PATHS))
    for name in observers:
        medians = [statistics.median(chain(*found[name, path].cpu)) / 1000 for path in PATHS]
        print(f"{name:22}", *(f"{median:10.1f}" for median in medians))


if __name__ == "__main__":
    main()
