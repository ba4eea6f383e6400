"""Start-up and memory: what a worker pays before its first request, and what it keeps after it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.backends import temp_folder

#: The most milliseconds that ``import holdfast.flask`` may take more than ``import flask``.
TARGET = 60
_RUNS = 11
# The first process compiles what another has not, whatever this one's environment says.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

_IMPORT = """
import sys, time
began = time.process_time_ns()
import {module}
print((time.process_time_ns() - began) / 1e6, len(sys.modules))
"""

_SERVE = """
import time
from pathlib import Path
from benchmarks import apps
{imports}
app = {app}
browser = app.test_client()
browser.get("/first")
first = time.process_time_ns() / 1e6
for _ in range(1000):
    browser.get("/untouched")
    browser.get("/{path}")
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(first, int(peak) / 1024)
"""

_APPS = (
    ("without sessions", "", "apps.without_sessions()", "untouched"),
    ("Flask's cookie", "", "apps.with_cookie()", "write"),
    ("Holdfast SQLite", "", "apps.with_holdfast('sqlite:///sessions.db', Path({folder!r}))", "write"),
    (
        "Flask-Session SQLite",
        "from benchmarks.backends import BACKENDS",
        "apps.with_flask_session(lambda app: BACKENDS[1].rival(app, 'sqlite:///' + {folder!r} + '/sessions.db'))",
        "write",
    ),
)


def _said(code: str) -> list[float]:
    ran = subprocess.run([sys.executable, "-c", code], env=_ENVIRONMENT, capture_output=True, text=True, check=True)
    return [float(part) for part in ran.stdout.split()]


def _medians(module: str, found: Sequence[list[float]]) -> str:
    took, modules = (statistics.median(each) for each in zip(*found, strict=True))
    return f"import {module:24}{took:8.0f} ms{modules:8.0f} modules"


def report() -> str:
    """Return the processor time of imports, and the memory of a process that served requests."""
    modules = ("flask", "holdfast.flask")
    found: dict[str, list[list[float]]] = {module: [] for module in modules}
    for _ in range(_RUNS):
        for module in modules:
            found[module].append(_said(_IMPORT.format(module=module)))
    more = [ours[0] - flasks[0] for ours, flasks in zip(found["holdfast.flask"], found["flask"], strict=True)]
    lines = [f"Start-up: processor time, medians of {_RUNS} fresh processes in turn"]
    lines += [_medians(module, found[module]) for module in modules]
    lines.append(f"holdfast.flask above flask: {statistics.median(more):.0f} ms (held to {TARGET})")
    lines += [
        "",
        "A process: processor time up to its first response in ms, and the most memory that was resident after",
    ]
    lines += ["2,000 requests in MiB. Each of them has imported Flask, Holdfast and what measures"]
    for name, imports, app, path in _APPS:
        with temp_folder() as folder:
            first, memory = _said(_SERVE.format(imports=imports, app=app.format(folder=str(folder)), path=path))
        lines.append(f"{name:24}{first:8.0f}{memory:8.1f}")
    return "\n".join(lines)
