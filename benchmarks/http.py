"""Throughput over HTTP: two workers of gunicorn with four threads each, under eight connections of wrk."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from support.servers import free_port, start_redis

from benchmarks import served
from benchmarks.apps import PATHS, SESSIONS
from benchmarks.backends import temp_folder
from holdfast.records.encryption import new_key

CONNECTIONS, WORKERS, THREADS = 8, 2, 4

#: The least ratio to the application without sessions: by the name of a variant, untouched, read and write.
TARGETS = {"SQLite": (0.97, 0.82, 0.65), "Redis": (0.97, 0.70, 0.52)}

# Each request takes the next of the sessions, so that requests at the same time have different ones.
_SCRIPT = """
local cookies, at = {{{cookies}}}, 0
request = function()
  at = at % #cookies + 1
  return wrk.format("GET", "/{path}", {{Cookie = "session=" .. cookies[at]}})
end
"""


class Variant(NamedTuple):
    """One kind of sessions: its name in the table, and what `benchmarks.served` is asked for."""

    name: str
    asked: dict[str, str]


def variants(folder: Path, redis: str) -> list[Variant]:
    """Return what is compared; the first one has no sessions."""

    def of(name: str, kind: str, backend: str, url: str, **more: str) -> Variant:
        own = folder / name.replace(" ", "-")
        own.mkdir()
        asked = {served.KIND: kind, served.BACKEND: backend, served.URL: url, served.FOLDER: str(own), **more}
        return Variant(name, asked)

    sqlite = f"sqlite:///{folder}/sessions.db"
    return [
        of("without", "without", "", ""),
        of("without again", "without", "", ""),
        of("Flask's cookie", "cookie", "", ""),
        of("SQLite", "holdfast", "SQLite", "sqlite:///sessions.db"),
        of("the least, SQLite", "least", "", ""),
        of("SQLite sealed", "holdfast", "SQLite", "sqlite:///sessions.db", **{served.SEAL_KEY: new_key()}),
        of("Flask-Session SQLite", "flask-session", "SQLite", sqlite),
        of("Redis", "holdfast", "Redis", f"{redis}/1"),
        of("Redis sealed", "holdfast", "Redis", f"{redis}/2", **{served.SEAL_KEY: new_key()}),
        of("Flask-Session Redis", "flask-session", "Redis", f"{redis}/3"),
    ]


@contextmanager
def serving(variant: Variant, folder: Path) -> Iterator[int]:
    """Serve *variant* during the block, and yield the port."""
    port = free_port()
    command = [
        *(
            sys.executable,
            "-m",
            "gunicorn",
            "--bind",
            f"127.0.0.1:{port}",
            "--worker-class",
            "gthread",
            "--timeout",
            "120",
        ),
        *("--workers", str(WORKERS), "--threads", str(THREADS), "benchmarks.served:application()"),
    ]
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env={**os.environ, **variant.asked}, stdout=output, stderr=output)
    try:
        _wait_for(port, log)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/untouched"):
            return
        time.sleep(0.1)
    raise RuntimeError(log.read_text()[-2000:])


def cookies_of(port: int) -> list[str]:
    """Make sessions, and return their cookies; an application without sessions has any."""
    found = []
    for _ in range(SESSIONS):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/first") as response:
            cookie = re.match("session=([^;]+)", response.headers.get("Set-Cookie") or "")
        found.append(cookie[1] if cookie else "A" * 43)
    return found


def throughput(port: int, path: str, script: Path, seconds: int) -> float:
    """Return the requests a second that are answered, of wrk's run."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/{path}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "Non-2xx" not in said, said
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    assert found, said
    return float(found[1])


def measured(*, rounds: int, seconds: int, rng: random.Random) -> dict[tuple[str, str], list[float]]:
    """Return, by variant and path, the throughput of each round as a ratio to that of the first variant.

    Raises:
        FileNotFoundError: wrk, gunicorn or Redis is not installed.
    """
    if shutil.which("wrk") is None:
        raise FileNotFoundError("wrk is not installed: apt-get install wrk")
    with ExitStack() as stack:
        folder = stack.enter_context(temp_folder())
        redis = start_redis()
        stack.callback(redis.stop)
        ports, scripts, found = {}, {}, dict[tuple[str, str], list[float]]()
        host, redis_port = redis.address
        for variant in variants(folder, f"redis://{host}:{redis_port}"):
            port = ports[variant.name] = stack.enter_context(serving(variant, folder))
            cookies = ", ".join(f'"{cookie}"' for cookie in cookies_of(port))
            for path in PATHS[:3]:
                script = scripts[variant.name, path] = folder / f"{port}-{path}.lua"
                script.write_text(_SCRIPT.format(cookies=cookies, path=path))
        for _ in range(rounds):
            for path in PATHS[:3]:
                of_round = {
                    name: throughput(ports[name], path, scripts[name, path], seconds)
                    for name in rng.sample(list(ports), len(ports))
                }
                for name in ports:
                    found.setdefault((name, path), []).append(of_round[name] / of_round["without"])
    return found


def report(found: dict[tuple[str, str], list[float]], *, rounds: int, seconds: int) -> str:
    """Return the table: medians of the ratios, and the least and the greatest."""
    lines = [
        f"HTTP: requests a second, as a part of those of the same application without sessions. {WORKERS} workers of",
        f"gunicorn (gthread, {THREADS} threads), {CONNECTIONS} connections of wrk on {SESSIONS} sessions;",
        f"medians of {rounds} rounds of {seconds} s, least to greatest",
        "",
        f"{'':22}" + "".join(f"{path:>20}" for path in PATHS[:3]),
    ]
    for name in dict.fromkeys(name for name, _ in found):
        cells = ""
        for path in PATHS[:3]:
            ratios = found[name, path]
            cells += f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})':>20}"
        lines.append(f"{name:22}{cells}")
        if name in TARGETS:
            lines.append(f"{'  held to':22}" + "".join(f"{target:10.2f}{'':10}" for target in TARGETS[name]).rstrip())
    return "\n".join(lines)
