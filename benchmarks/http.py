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
        of("the least, Redis", "least", "", f"{redis}/4"),
        of("Redis sealed", "holdfast", "Redis", f"{redis}/2", **{served.SEAL_KEY: new_key()}),
        of("Flask-Session Redis", "flask-session", "Redis", f"{redis}/3"),
    ]


class Server(NamedTuple):
    """A server that runs: its port, and the id of its process, whose children are the workers."""

    port: int
    pid: int

    def processor_time(self) -> int:
        """Return what its workers have taken so far, in hundredths of a second."""
        workers = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        stats = [Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split() for worker in workers]
        return sum(int(user) + int(system) for stat in stats for user, system in [stat[11:13]])


class Run(NamedTuple):
    """What a run of wrk found: requests a second, and the processor time of the workers for each."""

    throughput: float
    processor_time: float


@contextmanager
def serving(variant: Variant, folder: Path) -> Iterator[Server]:
    """Serve *variant* during the block."""
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
        yield Server(port, server.pid)
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


def run(server: Server, path: str, script: Path, seconds: int) -> Run:
    """Send requests for *seconds*."""
    url = f"http://127.0.0.1:{server.port}/{path}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    before = server.processor_time()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = server.processor_time() - before
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "Non-2xx" not in said, said
    found = re.search(r"(\d+) requests in .*Requests/sec:\s*([\d.]+)", said, re.DOTALL)
    assert found, said
    return Run(float(found[2]), taken / int(found[1]))


def measured(*, rounds: int, seconds: int, rng: random.Random) -> dict[tuple[str, str], list[Run]]:
    """Return, by variant and path, what each round found, as ratios to the first variant.

    Raises:
        FileNotFoundError: wrk, gunicorn or Redis is not installed.
    """
    if shutil.which("wrk") is None:
        raise FileNotFoundError("wrk is not installed: apt-get install wrk")
    with ExitStack() as stack:
        folder = stack.enter_context(temp_folder())
        redis = start_redis()
        stack.callback(redis.stop)
        servers, scripts, found = {}, {}, dict[tuple[str, str], list[Run]]()
        host, redis_port = redis.address
        for variant in variants(folder, f"redis://{host}:{redis_port}"):
            server = servers[variant.name] = stack.enter_context(serving(variant, folder))
            cookies = ", ".join(f'"{cookie}"' for cookie in cookies_of(server.port))
            for path in PATHS[:3]:
                script = scripts[variant.name, path] = folder / f"{server.port}-{path}.lua"
                script.write_text(_SCRIPT.format(cookies=cookies, path=path))
        for _ in range(rounds):
            for path in PATHS[:3]:
                of_round = {
                    name: run(servers[name], path, scripts[name, path], seconds)
                    for name in rng.sample(list(servers), len(servers))
                }
                base = of_round["without"]
                for name in servers:
                    ratios = Run(*(ours / theirs for ours, theirs in zip(of_round[name], base, strict=True)))
                    found.setdefault((name, path), []).append(ratios)
    return found


def report(found: dict[tuple[str, str], list[Run]], *, rounds: int, seconds: int) -> str:
    """Return the table: medians of the ratios, and the least and the greatest throughput."""
    lines = [
        f"HTTP: requests a second, as a part of those of the same application without sessions. {WORKERS} workers of",
        f"gunicorn (gthread, {THREADS} threads), {CONNECTIONS} connections of wrk on {SESSIONS} sessions;",
        f"medians of {rounds} rounds of {seconds} s, least to greatest. CPU: the processor time of the workers",
        "for a request, as a multiple of the same",
        "",
        f"{'':22}" + "".join(f"{path:>20}{'CPU':>6}" for path in PATHS[:3]),
    ]
    for name in dict.fromkeys(name for name, _ in found):
        cells = ""
        for path in PATHS[:3]:
            ratios, times = zip(*found[name, path], strict=True)
            cells += f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})':>20}"
            cells += f"{statistics.median(times):6.2f}"
        lines.append(f"{name:22}{cells}")
        if name in TARGETS:
            lines.append(f"{'  held to':22}" + "".join(f"{target:10.2f}{'':16}" for target in TARGETS[name]).rstrip())
    return "\n".join(lines)
