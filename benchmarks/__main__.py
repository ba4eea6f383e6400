"""Measure the cost of sessions.

One application gets the same requests with Holdfast's sessions in each store, with only the client calls that the store
needs, with Flask's sessions in a signed cookie, with Flask-Session's on the same server, and with none. Then come its
throughput over HTTP, the store calls of a typical application, the least that sessions cost, sealing, and start-up and
memory.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flask import Flask

from benchmarks import http, least, sealing, start, typical
from benchmarks.apps import DATA, with_calls, with_cookie, with_flask_session, with_holdfast, without_sessions
from benchmarks.backends import BACKENDS, Backend, temp_folder
from benchmarks.bare import BARE
from benchmarks.machine import machine, versions
from benchmarks.measure import BASE, BLOCK, measured, overheads, whole
from benchmarks.report import Result, as_json, heading, legend, table
from holdfast.errors import ConfigurationError

SEED = 20_240_611
DISTRIBUTIONS = (
    *("Flask", "Werkzeug", "Flask-Session", "ormsgpack"),
    *("redis", "pymemcache", "pymongo", "SQLAlchemy", "PyMySQL", "psycopg"),
)


#: What is measured besides the backends.
PARTS = ("http", "typical", "least", "sealing", "start")


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    names = [*(backend.name.lower() for backend in BACKENDS), *PARTS]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("backends", nargs="*", metavar="what", help=f"any of {', '.join(names)}; all by default")
    parser.add_argument("--samples", type=int, default=500, help="requests of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="for the order of the blocks (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="of one second each, over HTTP (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write everything that was found")
    asked = parser.parse_args()
    asked.backends = [name.lower() for name in asked.backends] or names
    if unknown := set(asked.backends) - set(names):
        parser.error(f"no such backend: {', '.join(sorted(unknown))}")
    if asked.samples < 2 * BLOCK:
        parser.error(f"--samples must be {2 * BLOCK} or more")
    return asked


def variants(backend: Backend, url: str, folder: Path) -> dict[str, Flask]:
    """Return the applications to compare on one backend.

    Raises:
        ConfigurationError: Holdfast has no such store, or its driver is not installed.
    """
    apps = {BASE[0]: without_sessions(), "cookie": with_cookie(), "holdfast": with_holdfast(url, folder)}
    if backend.name in BARE:
        apps["bare"] = with_calls(BARE[backend.name](url, DATA))
    rival = backend.rival
    if rival is not None:
        try:
            apps["flask-session"] = with_flask_session(lambda app: rival(app, url))
        except ImportError as error:
            print(f"{backend.name}: without Flask-Session, since {error.name} is not installed", file=sys.stderr)
    return apps


def result_on(backend: Backend, *, samples: int, rng: random.Random) -> Result:
    """Return the results for one backend.

    Raises:
        FileNotFoundError, ConfigurationError, ImportError: A part that it needs is not installed.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(temp_folder())
        url = stack.enter_context(backend.running(folder))
        samples = min(samples, backend.most or samples)
        found = measured(variants(backend, url, folder), samples=samples, rng=rng)
    return Result(backend.name, backend.waits, samples, whole(found[BASE]), overheads(found))


def part_of(part: str, *, samples: int, rounds: int, rng: random.Random) -> str:
    """Return the report of one of `PARTS`."""
    print(f"{part}…", file=sys.stderr)
    try:
        if part == "http":
            return http.report(http.measured(rounds=rounds, seconds=1, rng=rng), rounds=rounds, seconds=1)
        if part == "least":
            return least.report(samples=samples, rng=rng)
        if part == "sealing":
            return sealing.report(samples=samples, rng=rng)
        return typical.report() if part == "typical" else start.report()
    except FileNotFoundError as error:
        return f"{part} is skipped: {error}"


def main() -> None:
    """Measure, and print the table."""
    asked = arguments()
    rng = random.Random(asked.seed)
    samples = asked.samples // BLOCK * BLOCK
    about: dict[str, Any] = {
        **machine(),
        "versions": versions(DISTRIBUTIONS),
        "seed": asked.seed,
        "samples": samples,
    }
    results: list[Result] = []
    skipped: dict[str, str] = {}
    for backend in BACKENDS:
        if backend.name.lower() in asked.backends:
            print(f"{backend.name}…", file=sys.stderr)
            try:
                results.append(result_on(backend, samples=samples, rng=rng))
            except (FileNotFoundError, ConfigurationError, ImportError) as error:
                skipped[backend.name] = str(error)
    print(f"{legend(about, results)}\n\n{table(results)}" if results else heading(about))
    for name, reason in skipped.items():
        print(f"{name} is skipped: {reason}")
    for part in PARTS:
        if part in asked.backends:
            print(f"\n{part_of(part, samples=samples, rounds=asked.rounds, rng=rng)}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(as_json(about, results, skipped), indent=2) + "\n")


if __name__ == "__main__":
    main()
