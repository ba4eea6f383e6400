"""Bugs that the tests in test_store_answer.py catch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bad_input.storing import DAY
from support import seams

from holdfast.records.envelope import Envelope, encode
from holdfast.records.record import Record
from holdfast.stores.shared import wire


def any_value_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The types of SQLite's columns are not checked."""

    def trusting(data: Any, version: Any, expires_at: Any, owner: Any) -> Record:
        return Record(data, version, expires_at, owner.hex() if isinstance(owner, bytes) else owner)

    seams.SQLITE_RECORD.plant(monkeypatch, trusting)


def any_field_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The types of a document's fields are not checked."""

    def trusting(document: dict[str, Any]) -> Record:
        return Record(document["data"], document["version"], int(document["expires_at"]), document["owner"])

    seams.MONGODB_RECORD.plant(monkeypatch, trusting)


def owners_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner in a row counts as valid UTF-8 without a check."""
    seams.SQL_RECORD.plant(monkeypatch, lambda row: Record(bytes(row[0]), row[1], row[2], bytes(row[3]).decode()))


def files_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file counts as a complete record without a check."""

    def decode(raw: bytes) -> Record:
        _, version, size, expires_at = wire._HEAD.unpack_from(raw)
        start = wire._HEAD.size + 4
        end = start + max(0, size - 1)
        return Record(raw[end:], version, expires_at, raw[start:end].decode() if size else None)

    seams.FILES_DECODE.plant(monkeypatch, decode)


def wrong_types_are_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of another type under our key counts as an outage."""
    seams.REDIS_WRONG_TYPE.plant(monkeypatch, lambda error: False)


def wrong_types_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of another type under our key counts as a live session."""
    good = encode(Envelope(1_800_000_000_000, 1_800_000_000_000, 31 * DAY * 1000, b"\x81\xa4user\xa3eve"))
    load = seams.REDIS_LOAD.sound

    def generous(self: Any, key: str, /) -> Any:
        found = load(self, key)
        return replace(found, data=good) if found and not found.data else found

    seams.REDIS_LOAD.plant(monkeypatch, generous)


def only_the_store_ends_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is valid as long as Redis has it."""
    seams.POLICY_VERDICT.plant(monkeypatch, lambda self, envelope, expires_at, now, *_: None)
    sound = seams.REDIS_RECORD.sound
    seams.REDIS_RECORD.plant(monkeypatch, lambda value, now: sound(value, 0))
