"""The results, as a table and as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from benchmarks.apps import DATA, PATHS, SESSIONS
from benchmarks.measure import BLOCK, Case, Figures

#: The variants that Holdfast is compared with, and the column headings.
_TO = {"bare": "bare", "cookie": "cookie", "flask-session": "F-S"}


#: With fewer samples, p99 is random, and is not shown.
_ENOUGH = 500


@dataclass(frozen=True)
class Result:
    """The results for one backend with *samples* requests: *base* is a whole request without sessions."""

    backend: str
    waits: bool
    samples: int
    base: Figures
    overheads: dict[Case, Figures]

    def ratio(self, path: str, to: str) -> float | None:
        """Return Holdfast's overhead as a multiple of that of *to*, or None if that is too small."""
        ours, theirs = self.overheads["holdfast", path], self.overheads.get((to, path))
        if theirs is None or theirs.by(waits=self.waits) <= 1:
            return None
        return ours.by(waits=self.waits) / theirs.by(waits=self.waits)


def heading(about: dict[str, Any]) -> str:
    """Return the lines about the machine and the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['processor']}; {about['system']}; load {about['load']}\n{versions}"


def legend(about: dict[str, Any], results: list[Result]) -> str:
    """Return the notes that the table needs."""
    fewer = [f"{result.samples} on {result.backend}" for result in results if result.samples < about["samples"]]
    samples = ", ".join([f"{about['samples']} requests of each kind", *fewer])
    return f"""\
{heading(about)}
seed {about["seed"]}; {samples}, in turns by blocks of {BLOCK}
{SESSIONS} sessions of {len(DATA)} bytes

Overhead: microseconds that a request takes more than one of the same application without sessions.
p50 and p99 are Holdfast's by the clock on the wall, CPU is its median of processor time. It is divided by the overhead
of the bare client calls, of Flask's signed cookie and of Flask-Session (F-S): by the wall where a request waits for a
server or a disk, otherwise by processor time, which other work on the machine disturbs less."""


def table(results: list[Result]) -> str:
    """Return the ratios and the overheads they are computed from."""
    head = ["", "", *(f"÷ {to}" for to in _TO.values()), "p50", "p99", "CPU", *_TO.values(), "by"]
    rows = [row for result in results for row in _rows(result)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(_cells(line, widths)).rstrip() for line in lines)


def _cells(line: list[str], widths: list[int]) -> list[str]:
    left = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
    return left + [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]


def _rows(result: Result) -> list[list[str]]:
    rows = []
    for path in PATHS:
        ours = result.overheads["holdfast", path]
        ratios = [_number(result.ratio(path, to), 2) for to in _TO]
        others = [result.overheads.get((to, path)) for to in _TO]
        compared = [_number(other.by(waits=result.waits) if other else None) for other in others]
        p99 = ours.p99 if result.samples >= _ENOUGH else None
        name = result.backend if path == PATHS[0] else ""
        measure = "wall" if result.waits else "CPU"
        rows.append([name, path, *ratios, _number(ours.p50), _number(p99), _number(ours.cpu), *compared, measure])
    return rows


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}" if abs(value) >= 10 or digits else f"{value:.1f}"


def as_json(about: dict[str, Any], results: list[Result], skipped: dict[str, str]) -> dict[str, Any]:
    """Return all results as data for JSON."""
    return {**about, "backends": {result.backend: _found(result) for result in results}, "skipped": skipped}


def _found(result: Result) -> dict[str, Any]:
    overheads: dict[str, dict[str, Any]] = {}
    for (name, path), figures in result.overheads.items():
        overheads.setdefault(name, {})[path] = dataclasses.asdict(figures)
    return {
        "samples": result.samples,
        "base": dataclasses.asdict(result.base),
        "overhead": overheads,
        "ratio_of": "p50" if result.waits else "cpu",
        "ratios": {path: {to: result.ratio(path, to) for to in _TO} for path in PATHS},
    }
