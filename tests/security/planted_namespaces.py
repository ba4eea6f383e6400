"""Bugs that the tests in test_namespaces.py catch."""

from __future__ import annotations

import hashlib

import pytest
from support import seams

from holdfast.records.tokens import Keys


def joins_names_without_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace and the token are hashed one after the other, without a separator."""

    def key_of(keys: Keys, token: str) -> str:
        return hashlib.sha256(f"{keys.namespace}{token}".encode()).hexdigest()

    seams.KEY_OF_TOKEN.plant(monkeypatch, key_of)


def shares_the_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id is the same owner in every namespace."""
    seams.OWNER_OF_USER.plant(monkeypatch, lambda keys, user_id: hashlib.sha256(str(user_id).encode()).hexdigest())
