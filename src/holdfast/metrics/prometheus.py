"""Metrics for Prometheus, with ``prometheus-client`` (extra ``holdfast[prometheus]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, cannot_import
from holdfast.events import EVENTS
from holdfast.metrics.observer import BOUNDS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter

__all__ = ["PrometheusObserver"]


class PrometheusObserver:
    """Counts every event as ``holdfast_<event>_total`` and times the store as the histogram ``holdfast_store_seconds``.

    Every counter starts at 0, so that an alert on its rate sees the first event too.

    Args:
        registry: The registry of the metrics. Default: the client's own ``REGISTRY``. A registry takes one observer;
            pass the same one to each application.

    Raises:
        ConfigurationError: ``prometheus-client`` is not installed, or the registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import REGISTRY, Counter, Histogram
        except ModuleNotFoundError as error:
            raise cannot_import(error, type(self).__name__, ": pip install 'holdfast[prometheus]'") from error
        registry = registry or REGISTRY
        self._counters: dict[tuple[str, str], Counter] = {}
        try:
            for name, event in EVENTS.items():
                labels = [event.label] if event.label else []
                counter = Counter(f"holdfast_{name}", f"{event.meaning}.", labels, registry=registry)
                for value in event.values:
                    self._counters[name, value] = counter.labels(value) if event.label else counter
            self._seconds = Histogram(
                "holdfast_store_seconds",
                "Time that the session store took for one operation.",
                ["operation", "outcome"],
                buckets=BOUNDS,
                registry=registry,
            )
        except ValueError as error:
            raise ConfigurationError(
                "the registry has Holdfast's metrics already: make one PrometheusObserver and give it to every "
                "application, or give each a registry of its own"
            ) from error

    def count(self, event: str, label: str = "", /) -> None:
        """Add one to the event's counter."""
        self._counters[event, label].inc()

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        """Add one call to the histogram."""
        self._seconds.labels(operation, outcome).observe(seconds)
