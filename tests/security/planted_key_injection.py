"""Bugs that the tests in test_key_injection.py catch."""

from __future__ import annotations

import hashlib

import pytest
from support import seams


def keys_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that SQLite compares are the same for digits of either case."""
    raw = seams.SQLITE_KEY.sound
    seams.SQLITE_KEY.plant(monkeypatch, lambda text: raw(text and text.lower()))


def keys_by_a_weak_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is a hash with known collisions."""
    seams.KEY_OF_TOKEN.plant(
        monkeypatch, lambda self, token: hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()
    )


def nothing_before_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are in Redis under the id itself, in the application's own namespace."""
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token)
    seams.REDIS_NAME.plant(monkeypatch, lambda self, key: key.encode())
