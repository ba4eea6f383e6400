"""Bugs that the tests in test_key_injection.py catch."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import unquote

import pytest
from support import seams

from holdfast.records.record import Record
from holdfast.records.tokens import is_token
from holdfast.stores import sqlite


def the_id_is_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie value is the key of the record."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token)


def any_shape_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any cookie value is hashed and looked up."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)


def operators_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie that is JSON, as browsers escape it, becomes a query."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.IS_TOKEN.plant(monkeypatch, lambda text: text.startswith("%7B") or is_token(text))
    seams.KEY_OF_TOKEN.plant(
        monkeypatch, lambda self, token: json.loads(unquote(token)) if token[0] == "%" else key_of(self, token)
    )


def queries_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is written into the SQL statement."""
    the_id_is_the_key(monkeypatch)

    def load(self: sqlite.SQLiteStore, key: str, /) -> Any:
        sql = f"SELECT data, version, expires_at, owner FROM sessions WHERE key = '{key}'"  # noqa: S608
        row = self._run(sqlite._one, sql, ())
        return None if row is None else Record(*row)

    seams.SQLITE_LOAD.plant(monkeypatch, load)


def keys_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The column of the keys compares text without regard to case."""
    schema = (
        seams.SQLITE_SCHEMA.sound[0].replace("key TEXT", "key TEXT COLLATE NOCASE"),
        *seams.SQLITE_SCHEMA.sound[1:],
    )
    assert schema != seams.SQLITE_SCHEMA.sound
    seams.SQLITE_SCHEMA.plant(monkeypatch, schema)


def keys_by_a_weak_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is a hash with known collisions."""
    seams.KEY_OF_TOKEN.plant(
        monkeypatch, lambda self, token: hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()
    )


def nothing_before_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are in Redis under the id itself, in the application's own namespace."""
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token)
    seams.REDIS_NAME.plant(monkeypatch, lambda self, key: key.encode())
