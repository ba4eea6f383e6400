"""Count what overlapping requests lose, updates and logouts, and the commands that a request sends to the store.

The same application gets the same requests, over WSGI and in threads, with Holdfast and with Flask-Session 0.8.0 on one
server. Each view takes 20 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis
from flask import Flask, session
from werkzeug.test import Client

from benchmarks.apps import with_flask_session, with_holdfast
from benchmarks.backends import BACKENDS, temp_folder
from benchmarks.machine import machine, versions

WRITERS, ROUNDS, LOGOUTS = 20, 15, 25
VIEW_SECONDS = 0.02


def with_overlaps(app: Flask) -> Flask:
    """Add the views of the measurement to *app*."""

    @app.get("/sign-in")
    def sign_in() -> str:
        session["name"] = "ada"
        return ""

    @app.get("/set/<key>")
    def change(key: str) -> str:
        seen = session.get("name", "")
        time.sleep(VIEW_SECONDS)
        session[key] = seen
        return ""

    @app.get("/sign-out")
    def sign_out() -> str:
        session.clear()
        return ""

    @app.get("/all")
    def everything() -> dict[str, object]:
        return dict(session)

    return app


def browser(app: Flask, cookie: str | None = None) -> Client:
    """Return a browser with *cookie*, or with that of a new session."""
    client = app.test_client()
    if cookie is None:
        client.get("/sign-in")
    else:
        client.set_cookie("session", cookie)
    return client


def token(client: Client) -> str:
    """Return the value of the session cookie of *client*."""
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


def lost_updates(app: Flask) -> int:
    """Return how many of the updates are lost: in each round, all writers set a key of their own at once."""
    lost = 0
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in range(ROUNDS):
            first = browser(app)
            cookie = token(first)
            list(pool.map(lambda number, at=cookie: browser(app, at).get(f"/set/key{number}"), range(WRITERS)))
            found = first.get("/all").get_json()
            lost += sum(f"key{number}" not in found for number in range(WRITERS))
    return lost


def undone_logouts(app: Flask) -> int:
    """Return after how many logouts the old cookie still has the user, when a request was running meanwhile."""
    undone = 0
    with ThreadPoolExecutor(1) as pool:
        for _ in range(LOGOUTS):
            first = browser(app)
            cookie = token(first)
            running = pool.submit(browser(app, cookie).get, "/set/seen")
            time.sleep(VIEW_SECONDS / 2)
            browser(app, cookie).get("/sign-out")
            running.result()
            undone += "name" in browser(app, cookie).get("/all").get_json()
    return undone


def commands(app: Flask, url: str) -> dict[str, int]:
    """Return how many commands the server at *url* gets for a request of each kind, of a browser with a session."""
    client: redis.Redis = redis.Redis.from_url(url)
    visitor = app.test_client()
    visitor.get("/first")
    found = {}
    for path in ("untouched", "read"):
        visitor.get(f"/{path}")
        before = client.info("stats")["total_commands_processed"]
        visitor.get(f"/{path}")
        found[path] = client.info("stats")["total_commands_processed"] - before - 1
    client.close()
    return found


def main() -> int:
    """Print the counts of both on Redis."""
    backend = next(each for each in BACKENDS if each.name == "Redis")
    rival = backend.rival
    assert rival is not None
    with temp_folder() as folder, backend.running(Path(folder)) as url:
        kinds: dict[str, Callable[[], Flask]] = {
            "Holdfast": lambda: with_holdfast(url, folder),
            "Flask-Session": lambda: with_flask_session(lambda app: rival(app, url)),
        }
        found = machine()
        print(f"{found['processor']}; {found['system']}; load {found['load']}")
        print(", ".join(" ".join(each) for each in versions(["Flask", "Flask-Session", "redis"]).items()))
        for name, make in kinds.items():
            app = with_overlaps(make())
            updates, logouts = lost_updates(app), undone_logouts(app)
            lost = f"{updates:3} of {WRITERS * ROUNDS} updates lost, {logouts:2} of {LOGOUTS} logouts undone"
            sent = ", ".join(f"{count} for {path}" for path, count in commands(app, url).items())
            print(f"{name:14} {lost}; commands: {sent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
