"""Observers that are ready to use: a tally in the process, Prometheus, OpenTelemetry."""
