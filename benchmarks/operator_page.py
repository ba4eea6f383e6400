"""Measure the cost of the operator's page with many sessions in SQLite.

Run by ``make bench-operator``. ``ARGS=10000`` sets the number of sessions; the default is a million.
"""

from __future__ import annotations

import random
import re
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from benchmarks.machine import machine, versions
from holdfast.clock import DAY, system_clock
from holdfast.contrib.operator_page import operator_page
from holdfast.flask import Session, session
from holdfast.records.envelope import Envelope, encode
from holdfast.records.tokens import Keys

SEED = 20_240_611
REPEATS = 15
_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')
_INSERT = "INSERT INTO sessions (key, version, expires_at, purge_at, owner, data) VALUES (?, 1, ?, ?, ?, ?)"


def records(count: int, now: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows of *count* sessions: of half as many users, on three devices, up to 30 days old."""
    rng, keys = random.Random(SEED), Keys("session:")
    devices = [{"browser": name, "os": system} for name, system in (("Firefox", "Linux"), ("Edge", "Windows"))]
    for _ in range(count):
        began, owner = now - rng.randrange(30 * DAY), keys.owner_of(rng.randrange(count // 2 + 1))
        data = encode(Envelope(began, began, 31 * DAY, bytes(300), meta=rng.choice([*devices, {}])))
        yield rng.randbytes(32), now + 31 * DAY, now + 31 * DAY, bytes.fromhex(owner), data


def application(folder: Path) -> Flask:
    """Return an application with the page, for any signed-in user."""
    app = Flask("bench", static_folder=None)
    app.secret_key = secrets.token_hex()
    app.config["SESSION_STORE"] = f"sqlite:////{folder.as_posix().lstrip('/')}/sessions.db"
    sessions = Session(app)
    app.register_blueprint(operator_page(sessions, authorize=lambda: session.owner is not None))

    @app.get("/login")
    def login() -> str:
        session.bind("operator")
        return "Signed in"

    return app


def milliseconds(action: Callable[[], Any]) -> float:
    """Return the median duration of *action*."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def send(browser: FlaskClient, path: str, **fields: str) -> tuple[float, str]:
    """Send a form of a page; return the seconds it took, and the next page."""
    proof = _FORM_TOKEN.search(browser.get(path).text)
    assert proof
    began = time.perf_counter()
    response = browser.post(path, data={"form_token": proof[1], **fields})
    took = time.perf_counter() - began
    return took, response.text if response.status_code == 200 else browser.get(path).text


def counted(page: str) -> int:
    """Return the number of sessions that a page shows."""
    found = re.search(r"([\d,]+) sessions</strong>|([\d,]+) sessions have ended|Sessions ended: ([\d,]+)\.", page)
    assert found
    return int(next(part for part in found.groups() if part).replace(",", ""))


def measure(browser: FlaskClient) -> None:
    """Print the time of each page."""
    for name, path in (
        ("the first page of sessions", "/operator/"),
        ("a page in the middle", f"/operator/?after={'8' * 64}"),
        ("a user's sessions", "/operator/user?id=17"),
    ):
        print(f"{name:36}{milliseconds(lambda path=path: browser.get(path)):8.1f} ms")  # type: ignore[misc]
    for most in ("10000", "100000", "1000000"):
        took, page = send(browser, "/operator/breakdown", most=most)
        print(f"{'a breakdown of up to ' + format(int(most), ','):36}{took * 1000:8.0f} ms, {counted(page):,} sessions")
    took, page = send(browser, "/operator/everyone", action="begin", word="everyone")
    print(f"{'one step of ending everyone':36}{took * 1000:8.0f} ms, {counted(page):,} sessions")


def main() -> None:
    """Fill a store, and print the time of each page."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        app = application(Path(folder))
        browser = app.test_client()
        browser.get("/login")
        connection = sqlite3.connect(Path(folder) / "sessions.db")
        with connection:
            connection.executemany(_INSERT, records(count, system_clock()))
        connection.close()
        about = machine()
        print(f"{about['processor']}; {about['system']}; load {about['load']}")
        print(", ".join(f"{name} {version}" for name, version in versions(("Flask", "Werkzeug")).items()))
        print(f"seed {SEED}; {count:,} sessions; pages: median of {REPEATS}; the others once")
        measure(browser)


if __name__ == "__main__":
    main()
