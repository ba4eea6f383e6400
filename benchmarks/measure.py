"""Timing requests, alternating, so that other load affects every variant equally."""

from __future__ import annotations

import functools
import gc
import itertools
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from flask import Flask

from benchmarks.apps import USER, Environ, requests

#: The number of consecutive requests of one variant.
BLOCK = 20

#: The variant that is the base of every overhead, and its only measured path.
BASE = ("without", "untouched")

Case = tuple[str, str]

#: The nanoseconds of each request, by the clock on the wall and of the processor.
Block = tuple[list[int], list[int]]


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


def measured(apps: dict[str, Flask], *, samples: int, rng: random.Random, apart: bool = False) -> dict[Case, Samples]:
    """Send *samples* requests to each path of each app: one block of each in turn, in a random order for each round.

    *apart*: each app has a process of its own. Where two kinds of sessions run the same lines with other types, Python
    specialises the lines for neither, which no application pays for.
    """
    blocks: dict[Case, Callable[[], Block]] = {}
    for name, app in apps.items():
        for path, block in (_apart(app) if apart else _here(app)).items():
            if name != BASE[0] or path == BASE[1]:
                blocks[name, path] = block
    found = {case: Samples() for case in blocks}
    for block in blocks.values():
        block()
    gc.collect()
    for _ in range(max(1, samples // BLOCK)):
        for case in rng.sample(list(blocks), len(blocks)):
            wall, cpu = blocks[case]()
            found[case].wall.append(wall)
            found[case].cpu.append(cpu)
    return found


def _here(app: Flask) -> dict[str, Callable[[], Block]]:
    return {path: functools.partial(_block, app, stream) for path, stream in requests(app).items()}


def _apart(app: Flask) -> dict[str, Callable[[], Block]]:
    """Return what `_here` does, for *app* in a process that ends with this one."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    fork.Process(target=_serve, args=(app, theirs), daemon=True).start()

    def ask(path: str) -> Block:
        ours.send(path)
        block: Block = ours.recv()
        return block

    return {path: functools.partial(ask, path) for path in ours.recv()}


def _serve(app: Flask, pipe: Connection) -> None:
    blocks = _here(app)
    pipe.send([*blocks])
    while True:
        pipe.send(blocks[pipe.recv()]())


def _block(app: Flask, stream: Iterator[Environ]) -> Block:
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
