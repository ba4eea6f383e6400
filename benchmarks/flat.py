"""Measure whether memory, files and SQLite's write-ahead log stay as they are over very many requests.

Run by ``make flat``. ``ARGS=20000`` sets the number of requests; the default is 200,000. Half of them write, while
another process reads without a pause.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from flask import Flask

from holdfast.flask import Session, session

STEPS = 10


def application(folder: Path) -> Flask:
    """Return an application that reads and writes its session."""
    app = Flask("flat", static_folder=None)
    app.secret_key = "made up for measurements: Rk3_qz81Lm-vYt5x"
    app.config["SESSION_STORE"] = f"sqlite:////{folder.as_posix().lstrip('/')}/sessions.db"
    Session(app)

    @app.get("/read")
    def read() -> str:
        return str(session.get("count"))

    @app.get("/write")
    def write() -> str:
        session["count"] = session.get("count", 0) + 1
        return "written"

    return app


def resident() -> int:
    """Return the kilobytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    """Print the memory, the open files and the log's size after each tenth of the requests."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory(prefix="holdfast-flat-") as name:
        folder = Path(name)
        browser = application(folder).test_client()
        browser.get("/write")
        cookie = browser.get_cookie("session")
        assert cookie is not None
        reader = multiprocessing.get_context("spawn").Process(target=_read_on, args=(folder, cookie.value), daemon=True)
        reader.start()
        print(f"{'requests':>9} {'KiB':>8} {'files':>6} {'log, KiB':>9}")
        for step in range(1, STEPS + 1):
            for number in range(count // STEPS):
                browser.get("/write" if number % 2 else "/read")
            log = (folder / "sessions.db-wal").stat().st_size // 1024
            files = len([*Path("/proc/self/fd").iterdir()])
            print(f"{step * count // STEPS:9,} {resident():8,} {files:6} {log:9,}", flush=True)
        reader.terminate()
        reader.join()


def _read_on(folder: Path, cookie: str) -> None:
    browser = application(folder).test_client()
    browser.set_cookie("session", cookie)
    while True:
        browser.get("/read")


if __name__ == "__main__":
    main()
