"""The least that sessions in SQLite or Redis cost a request: without timeouts, checks, merges, sealing or users.

What Holdfast costs more than this is what its promises cost. It is not fit for use.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import sqlite3
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import ormsgpack
from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SessionInterface, SessionMixin

from benchmarks.apps import DATA, with_calls, with_cookie, with_holdfast, without_sessions
from benchmarks.backends import temp_folder
from benchmarks.bare import BARE, LIFETIME, REDIS_SAVE
from benchmarks.measure import BASE, measured, overheads
from holdfast.stores.redis.client import client_from_url

_SCHEMA = "CREATE TABLE IF NOT EXISTS least (key BLOB PRIMARY KEY, version INTEGER, expires_at INTEGER, data BLOB)"
_FOR_EVER = 2**62


class _Place(Protocol):
    """The calls on a database, by the key of a session: a version is what `update` compares."""

    def find(self, key: bytes, /) -> tuple[Any, bytes]: ...

    def update(self, key: bytes, version: Any, packed: bytes, /) -> object: ...

    def insert(self, key: bytes, packed: bytes, /) -> object: ...


class _SQLite:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "least.db"
        self._local = threading.local()

    def _cursor(self) -> sqlite3.Cursor:
        if not hasattr(self._local, "cursor"):
            connection = sqlite3.connect(self._path, isolation_level=None)
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", _SCHEMA):
                connection.execute(statement)
            self._local.cursor = connection.cursor()
        cursor: sqlite3.Cursor = self._local.cursor
        return cursor

    def find(self, key: bytes, /) -> tuple[Any, bytes]:
        select = "SELECT version, data FROM least WHERE key = ? AND expires_at > ?"
        found: tuple[Any, bytes] = self._cursor().execute(select, (key, time.time_ns())).fetchone()
        return found

    def update(self, key: bytes, version: Any, packed: bytes, /) -> object:
        save = "UPDATE least SET data = ?, version = version + 1 WHERE key = ? AND version = ?"
        return self._cursor().execute(save, (packed, key, version))

    def insert(self, key: bytes, packed: bytes, /) -> object:
        return self._cursor().execute("INSERT INTO least VALUES (?, ?, ?, ?)", (key, 0, _FOR_EVER, packed))


class _Redis:
    """The commands go out as those of Holdfast's store do, which is the shortest way."""

    def __init__(self, url: str) -> None:
        self._client = client_from_url(url, {})
        self._save = self._client.execute_command("SCRIPT", "LOAD", REDIS_SAVE).decode()

    def find(self, key: bytes, /) -> tuple[Any, bytes]:
        value: bytes = self._client.get(key)
        return value[:8], value[8:]

    def update(self, key: bytes, version: Any, packed: bytes, /) -> object:
        return self._client.evalsha(self._save, 1, key, version, secrets.token_bytes(8) + packed, LIFETIME)

    def insert(self, key: bytes, packed: bytes, /) -> object:
        value = secrets.token_bytes(8) + packed
        return self._client.execute_command("SET", key, value, "NX", "EX", LIFETIME)


class _Least(SecureCookieSession):
    key, version, packed = b"", None, b""


class _LeastInterface(SessionInterface):
    def __init__(self, place: _Place) -> None:
        self._place = place

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        token = request.cookies.get(self.get_cookie_name(app))
        if token is None:
            return _Least()
        key = hashlib.sha256(token.encode()).digest()
        version, packed = self._place.find(key)
        session = _Least(ormsgpack.unpackb(packed))
        session.key, session.version, session.packed = key, version, packed
        return session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        assert isinstance(session, _Least)
        response.headers.add("Vary", "Cookie")
        packed = ormsgpack.packb(dict(session)) if session.modified else session.packed
        if packed == session.packed:
            return
        if session.key:
            self._place.update(session.key, session.version, packed)
            return
        token = secrets.token_urlsafe(32)
        self._place.insert(hashlib.sha256(token.encode()).digest(), packed)
        response.set_cookie(self.get_cookie_name(app), token)


def with_least(folder: Path, url: str = "") -> Flask:
    """Return the application with these sessions, in the Redis at *url*, or in SQLite in *folder*."""
    app = with_cookie()
    app.session_interface = _LeastInterface(_Redis(url) if url else _SQLite(folder))
    return app


def report(*, samples: int, rng: random.Random) -> str:
    """Return the processor time of Holdfast's sessions, beside these and Flask's cookie."""
    with ExitStack() as stack:
        folder = stack.enter_context(temp_folder())
        url = f"sqlite:///{folder}/sessions.db"
        apps = {
            BASE[0]: without_sessions(),
            "bare calls": with_calls(BARE["SQLite"](url, DATA)),
            "the least": with_least(folder),
            "Holdfast": with_holdfast(url, folder),
            "Flask's cookie": with_cookie(),
        }
        found = overheads(measured(apps, samples=samples, rng=rng, apart=True))
    lines = [
        "The least of a session in SQLite, without what Holdfast promises: microseconds of processor time above no",
        f"sessions, in brackets as a part of Flask's signed cookie; {samples} requests of each kind",
        f"{'':18}{'read':>14}{'write':>14}",
    ]
    for name in [*apps][1:]:
        times = [(found[name, path].cpu, found["Flask's cookie", path].cpu) for path in ("read", "write")]
        lines.append(f"{name:18}" + "".join(f"{f'{ours:.0f} ({ours / theirs:.2f})':>14}" for ours, theirs in times))
    return "\n".join(lines)
