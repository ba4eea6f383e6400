"""Bugs that the tests in test_cookie_at_stores.py catch."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from security.bugs import the_id_is_the_key
from support import seams

from holdfast.records.record import Record
from holdfast.records.tokens import is_token
from holdfast.stores import sqlite


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
        sql = f"SELECT data, version, expires_at, owner FROM sessions WHERE lower(hex(key)) = '{key}'"  # noqa: S608
        row = self._run(sqlite._one, sql, ())
        return None if row is None else Record(*row)

    seams.SQLITE_LOAD.plant(monkeypatch, load)
