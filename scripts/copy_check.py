"""Copy many sessions to another store while they change, kill the copy halfway, and check what arrived.

``make copy-check`` prints the figures that docs/cli.md shows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from support.copying import Writer, command, content, fill, kill_midway, opened
from support.databases import start_postgres
from support.servers import Server, start_redis
from support.sql import fresh_database

from benchmarks.machine import machine, versions

SEED = 20_240_611
_SIZE = 300


class Outcome(NamedTuple):
    """What one copy came to."""

    target: str
    records: int
    until_kill: float
    resumed: float
    passes: int
    writes: int
    ended: int
    overtaken: int
    lost: int
    revived: int


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="make copy-check", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument(
        "targets", nargs="*", default=["redis", "postgresql"], help="redis, postgresql; both by default"
    )
    parser.add_argument("--sessions", type=int, default=100_000, help="how many to copy (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="for what changes meanwhile (default: %(default)s)")
    return parser.parse_args()


def place_at(name: str, stack: ExitStack) -> str:
    """Start the server called *name* and return the URL of an empty store on it."""
    server: Server = {"redis": start_redis, "postgresql": start_postgres}[name]()
    stack.callback(server.stop)
    return server.url if name == "redis" else stack.enter_context(fresh_database(server))


def check(name: str, count: int, seed: int) -> Outcome:
    """Copy *count* sessions to a server called *name* and return what came of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        source_url, target_url = f"sqlite:///{folder}/from.db", place_at(name, stack)
        source, target = opened(stack, source_url), opened(stack, target_url)
        ended = fill(source, count, size=_SIZE)
        writer = Writer(source, count, seed)
        writer.start()
        line = command(source_url, target_url, folder)
        start = time.monotonic()
        kill_midway(subprocess.Popen(line, stderr=subprocess.DEVNULL), target, count // 2, seconds=600, pause=1.0)
        until_kill = time.monotonic() - start
        at_kill = content(target).keys()
        start = time.monotonic()
        passes = _resumed(line, writer)
        resumed = time.monotonic() - start
        ended |= writer.ended
        return _compared(
            Outcome(
                name,
                0,
                until_kill,
                resumed,
                passes,
                writer.made + writer.changed,
                len(writer.ended),
                len(at_kill & writer.ended),
                0,
                0,
            ),
            content(source),
            content(target),
            ended,
        )


def _resumed(line: list[str], writer: Writer) -> int:
    """Run the command to its end, with the writer at work for two passes, and return how many passes there were."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    passes = 0
    for text in process.stderr or ():
        print(f"  {text.rstrip()}", flush=True)
        passes += 1
        if passes == 2:
            writer.stop()
    if process.wait() != 0:
        raise SystemExit("the copy failed")
    return passes


def _compared(outcome: Outcome, source: dict[str, Any], target: dict[str, Any], ended: set[str]) -> Outcome:
    lost = sum(target.get(key) != record for key, record in source.items())
    revived = len(target.keys() - source.keys()) + len(ended & target.keys())
    return outcome._replace(records=len(target), lost=lost, revived=revived)


def main() -> int:
    """Print what each copy came to; return 1 where a session was lost or revived."""
    asked = arguments()
    for facts in (machine(), versions(["redis", "SQLAlchemy", "psycopg", "click"])):
        print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    print(f"seed {asked.seed}, {asked.sessions:,} sessions of {_SIZE} bytes in SQLite")
    failed = False
    for name in asked.targets:
        print(f"\nSQLite to {name}", flush=True)
        found = check(name, asked.sessions, asked.seed)
        print(
            f"  killed after {found.until_kill:.1f} s, then {found.resumed:.1f} s in {found.passes} passes\n"
            f"  meanwhile {found.writes:,} writes and {found.ended:,} logouts, {found.overtaken:,} of them of sessions"
            " that had been copied before the kill\n"
            f"  {found.records:,} records at the target: {found.lost} lost or different, {found.revived} revived",
            flush=True,
        )
        failed = failed or bool(found.lost or found.revived)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
