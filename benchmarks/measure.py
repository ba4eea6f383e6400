"""Timing requests, alternating, so that other load affects every variant equally."""

from __future__ import annotations

import gc
import itertools
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from benchmarks.apps import USER, Environ, requests

#: The number of consecutive requests of one variant.
BLOCK = 20

#: The variant that is the base of every overhead, and its only measured path.
BASE = ("without", "untouched")

Case = tuple[str, str]


@dataclass
class Samples:
    """The times of one case: a list for each block, nanoseconds for each request, wall-clock and processor time."""

    wall: list[list[int]] = field(default_factory=list)
    cpu: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """Microseconds: the overhead of a request over one without sessions."""

    p50: float
    p99: float
    cpu: float

    def by(self, *, waits: bool) -> float:
        """Return the time for ratios: the wall-clock median, or that of the processor time."""
        return self.p50 if waits else self.cpu


def measured(apps: dict[str, Flask], *, samples: int, rng: random.Random) -> dict[Case, Samples]:
    """Send *samples* requests to each path of each app: one block of each in turn, in a random order for each round."""
    streams: dict[Case, tuple[Flask, Iterator[Environ]]] = {}
    for name, app in apps.items():
        paths = requests(app)
        for path, stream in paths.items():
            if name != BASE[0] or path == BASE[1]:
                streams[name, path] = app, stream
    found = {case: Samples() for case in streams}
    for app, stream in streams.values():
        _block(app, stream)
    gc.collect()
    for _ in range(max(1, samples // BLOCK)):
        for case in rng.sample(list(streams), len(streams)):
            wall, cpu = _block(*streams[case])
            found[case].wall.append(wall)
            found[case].cpu.append(cpu)
    return found


def _block(app: Flask, stream: Iterator[Environ]) -> tuple[list[int], list[int]]:
    wall, cpu = [], []
    for environ in itertools.islice(stream, BLOCK):
        request = environ.copy()
        wall_before, cpu_before = time.perf_counter_ns(), time.thread_time_ns()
        body = b"".join(answer := app(request, _start_response))
        answer.close()  # type: ignore[attr-defined]  # Werkzeug's responses have it
        cpu_after, wall_after = time.thread_time_ns(), time.perf_counter_ns()
        assert body == USER.encode(), body
        wall.append(wall_after - wall_before)
        cpu.append(cpu_after - cpu_before)
    return wall, cpu


def _start_response(*_: Any) -> Any:
    return None


def overheads(found: dict[Case, Samples]) -> dict[Case, Figures]:
    """Return the overhead of each case over the base: medians within each round, p99 over all of them."""
    base = found[BASE]
    return {
        (name, path): Figures(
            p50=_median_over(samples.wall, base.wall),
            p99=_p99(samples.wall) - _p99(base.wall),
            cpu=_median_over(samples.cpu, base.cpu),
        )
        for (name, path), samples in found.items()
        if (name, path) != BASE
    }


def whole(samples: Samples) -> Figures:
    """Return the total time of a request of one case."""
    return Figures(
        p50=statistics.median(itertools.chain(*samples.wall)) / 1000,
        p99=_p99(samples.wall),
        cpu=statistics.median(itertools.chain(*samples.cpu)) / 1000,
    )


def _median_over(blocks: list[list[int]], base: list[list[int]]) -> float:
    more = (statistics.median(a) - statistics.median(b) for a, b in zip(blocks, base, strict=True))
    return statistics.median(more) / 1000


def _p99(blocks: list[list[int]]) -> float:
    return statistics.quantiles(itertools.chain(*blocks), n=100)[98] / 1000
