"""The bytes that a session takes with Flask-Session and with Django, on SQLite and Redis."""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import tempfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

from support.servers import start_redis

_COUNT = 20_000


def of_others(session: dict[str, Any]) -> str:
    """Return the bytes of *session*, with a name for each, as text."""
    packed, signed = _packed(session), _signed(session)
    found = {
        "Flask-Session on SQLite": _on_sqlite(
            "CREATE TABLE sessions (id INTEGER NOT NULL PRIMARY KEY, session_id VARCHAR(255) UNIQUE, data BLOB,"
            " expiry DATETIME)",
            lambda: (None, f"session:{secrets.token_urlsafe(32)}", packed, "2026-12-30 12:00:00.000000"),
        ),
        "Django on SQLite": _on_sqlite(
            "CREATE TABLE django_session (session_key varchar(40) NOT NULL PRIMARY KEY, session_data text NOT NULL,"
            " expire_date datetime NOT NULL)",
            lambda: (secrets.token_hex(16), signed, "2026-12-30 12:00:00.000000"),
            "CREATE INDEX django_session_expire_date ON django_session (expire_date)",
        ),
        "Flask-Session on Redis": _on_redis(packed),
    }
    return ", ".join(f"{name} {number:.0f}" for name, number in found.items())


def _packed(session: dict[str, Any]) -> bytes:
    """Return what Flask-Session stores: msgpack, of `msgspec`, with a mark that the session is permanent."""
    import msgspec

    return msgspec.msgpack.encode({**session, "_permanent": True})


def _signed(session: dict[str, Any]) -> str:
    """Return what Django stores: JSON, deflated, in base64, with a time and a signature."""
    text = base64.urlsafe_b64encode(zlib.compress(json.dumps(session, separators=(",", ":")).encode()))
    return f".{text.decode().rstrip('=')}:{'1' * 6}:{secrets.token_urlsafe(32)}"


def _on_sqlite(table: str, row: Any, *more: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        with closing(sqlite3.connect(path)) as connection:
            for statement in (table, *more):
                connection.execute(statement)
            marks = ", ".join("?" * len(row()))
            name = table.split()[2]
            with connection:
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", (row() for _ in range(_COUNT)))  # noqa: S608
        return path.stat().st_size / _COUNT


def _on_redis(packed: bytes) -> float:
    import redis

    server = start_redis()
    try:
        with closing(redis.Redis.from_url(server.url)) as client:
            before = client.info("memory")["used_memory"]
            for _ in range(_COUNT // 1000):
                pipeline = client.pipeline(transaction=False)
                for _ in range(1000):
                    pipeline.set(f"session:{secrets.token_urlsafe(32)}", packed, ex=31 * 86_400)
                pipeline.execute()
            return float(client.info("memory")["used_memory"] - before) / _COUNT
    finally:
        server.stop()
