"""Observers that are ready to use: in memory, Prometheus, OpenTelemetry."""
