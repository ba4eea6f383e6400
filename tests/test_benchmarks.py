"""The benchmarks run, and find what they are for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what `make bench` does with *arguments*."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    env = {**os.environ, "PYTHONPATH": "tests"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.timeout(120)  # it measures, in processes of their own
def test_a_short_run_reports_every_path(tmp_path: Path) -> None:
    """A run on two embedded backends writes the overhead of each path as JSON, and the bare calls beside it."""
    report = tmp_path / "bench.json"
    done = bench("memory", "sqlite", "--samples", "40", "--json", str(report))
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert found["samples"] == 40
    for backend in ("memory", "SQLite"):
        assert list(found["backends"][backend]["overhead"]["holdfast"]) == ["untouched", "read", "write", "first"]
    sqlite = found["backends"]["SQLite"]
    assert {"read", "write"} <= sqlite["overhead"]["bare"].keys()
    assert "bare" in sqlite["ratios"]["read"]  # None where so few samples show no difference


def test_an_unknown_backend_is_refused() -> None:
    """A missing backend is named in the error, and nothing is measured."""
    done = bench("oracle")
    assert done.returncode == 2
    assert "no such backend: oracle" in done.stderr
