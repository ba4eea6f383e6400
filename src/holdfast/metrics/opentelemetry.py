"""Metrics through the OpenTelemetry API (extra ``holdfast[opentelemetry]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import cannot_import
from holdfast.events import EVENTS
from holdfast.metrics.observer import BOUNDS

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["OpenTelemetryObserver"]


class OpenTelemetryObserver:
    """Counts every event as ``holdfast.<event>`` and times the store as the histogram ``holdfast.store.duration``.

    The attributes are ``holdfast.outcome``, ``holdfast.reason`` and ``holdfast.operation``; ``error.type`` is present
    when an operation failed, as in the semantic conventions.

    The histogram is not called ``db.client.operation.duration``. An instrumentation of the driver measures that, and
    both in one metric would count each call twice; and a folder is no database.

    Args:
        meter_provider: The provider of the meter. Default: the global provider, now or later.

    Raises:
        ConfigurationError: ``opentelemetry-api`` is not installed.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        try:
            from opentelemetry.metrics import get_meter
        except ModuleNotFoundError as error:
            raise cannot_import(error, type(self).__name__, ": pip install 'holdfast[opentelemetry]'") from error
        meter = get_meter("holdfast", meter_provider=meter_provider)
        self._counters = {
            name: meter.create_counter(f"holdfast.{name}", unit="1", description=f"{event.meaning}.")
            for name, event in EVENTS.items()
        }
        self._seconds = meter.create_histogram(
            "holdfast.store.duration",
            unit="s",
            description="Time that the session store took for one operation.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )

    def count(self, event: str, label: str = "", /) -> None:
        """Add one to the event's counter."""
        self._counters[event].add(1, {f"holdfast.{EVENTS[event].label}": label} if label else None)

    def timed(self, operation: str, seconds: float, outcome: str, /) -> None:
        """Add one call to the histogram."""
        attributes = {"holdfast.operation": operation}
        if outcome != "ok":
            attributes["error.type"] = outcome
        self._seconds.record(seconds, attributes)
