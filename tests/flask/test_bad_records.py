"""Damaged, foreign, hostile and mistimed records: a fresh session, once, and never an error.

The letters are those of a catalogue of bad input: G for what is stored, T for times.
"""

from __future__ import annotations

import gzip
import logging
import math
import pickle  # noqa: TID251  # an attacker's data
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.web import Web, cookies_set, end, rotate

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.records.codec import JSON, MSGPACK
from holdfast.records.envelope import Cutoff, Envelope, Fate, Tombstone, encode
from holdfast.records.tokens import Keys
from holdfast.sessions.policy import SKEW
from holdfast.stores.registry import open_store

DAY = 24 * 3600


def key_of(web: Web) -> str:
    """Return the key of the browser's session."""
    return Keys("session:").key_of(web.token() or "")


def plant(web: Web, data: bytes) -> None:
    """Put *data* in place of the browser's record."""
    key = key_of(web)
    record = web.memory.load(key)
    assert record is not None
    web.memory.replace(key, data, expect=record.version, expires_at=record.expires_at)


def envelope(web: Web, payload: bytes, **times: int) -> bytes:
    """Return a record of ours around *payload*."""
    fields = {"created_at": web.clock(), "issued_at": web.clock(), "idle": 31 * DAY * 1000, **times}
    return encode(Envelope(fields["created_at"], fields["issued_at"], fields["idle"], payload))


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def assert_corrupt_once(web: Web, *, stays: bool = False) -> None:
    """Assert that the planted record is no session, reported, and removed afterwards."""
    response = web.do(lambda: str(dict(session)))
    assert (response.status_code, response.text) == (200, "{}")
    assert not cookies_set(response)
    assert web.reasons() == ["corrupt"]
    web.do(lambda: session.get("a"))
    assert web.reasons() == (["corrupt"] if stays else ["unknown_id"])
    old = web.token()
    assert cookies_set(web.put(a=1))
    assert web.token() != old
    assert web.data() == {"a": 1}


@pytest.fixture
def known(web: Web) -> Web:
    """Return an application whose browser has a session, without recorded signals."""
    web.put(cart=[1])
    web.take_heard()
    return web


# --- G: what is stored -----------------------------------------------------------------------------------------------

FOREIGN = {
    "nothing": b"",
    "one byte": b"\x07",
    "zeros": bytes(100),
    "0xff": b"\xff" * 100,
    "html": b"<html>",
    "gzip": gzip.compress(b"x" * 100),
    "msgpack": b"\x81\xa4user\xa6victim",
    "pickle": pickle.dumps({"user": "victim"}),
    "newer format": b"\x7f" + bytes(100),
}
DAMAGED = {
    "only the format byte": b"\x01",
    "cut short": b"\x01" + bytes(10),
    "metadata longer than the record": b"\x01" + struct.pack(">QQQI", 1, 1, 1, 2**32 - 1),
    "metadata that is not JSON": b"\x01" + struct.pack(">QQQI", 1, 1, 1, 3) + b"x:y",
    "text": b"{",
    "plain JSON": b'{"user": "victim"}',
    "JSON list": b"[1, 2]",
    "text cut short": b'{"created_at":1,"issued_at":1,"idle":1,"meta":{},"payl',
    "half a tombstone": b"\x02\x01",
    "a tombstone with a fate nobody knows": b"\x02\x09" + bytes(72),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_g4_a_record_in_a_foreign_format(known: Web, data: bytes) -> None:
    """A record in a foreign format is no session, and is kept for its own reader."""
    plant(known, data)
    assert_corrupt_once(known, stays=True)


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_g4_a_damaged_record(known: Web, data: bytes) -> None:
    """An incomplete record is no session, and is removed when it is found."""
    plant(known, data)
    assert_corrupt_once(known, stays=data[:1] == b"[")


def test_g4_every_truncation_of_a_record(known: Web) -> None:
    """A record cut at any place is no error and no session."""
    record = known.memory.load(key_of(known))
    assert record is not None
    token = known.token()
    for size in range(len(record.data)):
        web = Web()
        web.memory.create(key_of(known), record.data[:size], expires_at=record.expires_at)
        assert web.data(web.with_token(token)) == {}
        assert web.reasons() == ["corrupt"]


def test_g_a_pickle_is_never_run(known: Web, tmp_path: Path) -> None:
    """A pickle, alone or as the payload of a record of ours, is data that cannot be read."""
    canary = tmp_path / "canary"
    bomb = pickle.dumps({"a": Bomb(canary)})
    for data, stays in ((bomb, True), (envelope(known, bomb), False)):
        known.put(cart=[1])
        known.take_heard()
        plant(known, data)
        assert_corrupt_once(known, stays=stays)
    assert not canary.exists()


HOSTILE_MSGPACK = {
    "array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "4 GB of bytes": b"\xc6\xff\xff\xff\xff",
    "4 GB of text": b"\xdb\xff\xff\xff\xff",
    "4 GB of extension": b"\xc9\xff\xff\xff\xff\x01",
    "200,000 arrays deep": b"\x81\xa1a" + b"\x91" * 200_000 + b"\x01",
    "200,000 maps deep": b"\x81\xa1a" * 200_000 + b"\x01",
    "an extension nobody knows": b"\x81\xa1a" + b"\xd4\x63\x00",
    "a time out of range": b"\x81\xa1a" + b"\xc7\x0c\xff" + b"\xff" * 12,
    "an unhashable key": b"\x81\x91\x01\x01",
    "trailing bytes": b"\x81\xa1a\x01\x00",
    "not a map": b"\x93\x01\x02\x03",
    "null": b"\xc0",
    "text": b"\xa3abc",
    "invalid UTF-8": b"\x81\xa1a\xa2\xff\xfe",
    "empty": b"",
}
HOSTILE_JSON = {
    "200,000 arrays deep": b"[" * 200_000 + b"]" * 200_000,
    "200,000 objects deep": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "an integer of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "list": b"[]",
    "null": b"null",
    "text": b'"s"',
    "number": b"1",
    "invalid UTF-8": b'{"a":"\xff"}',
    "trailing data": b'{"a":1} {"b":2}',
    "nothing": b"",
}


@pytest.mark.parametrize("payload", HOSTILE_MSGPACK.values(), ids=HOSTILE_MSGPACK)
def test_g2_hostile_msgpack(known: Web, payload: bytes) -> None:
    """A payload that claims to be huge, deep or of another form is no session."""
    plant(known, envelope(known, payload))
    assert_corrupt_once(known)


@pytest.mark.parametrize("payload", HOSTILE_JSON.values(), ids=HOSTILE_JSON)
def test_g1_hostile_json(payload: bytes) -> None:
    """The same goes for payloads as text."""
    web = Web(SESSION_SERIALIZATION_FORMAT="json")
    web.put(cart=[1])
    web.take_heard()
    now = web.clock()
    plant(web, encode(Envelope(now, now, 31 * DAY * 1000, payload, JSON)))
    assert_corrupt_once(web)


def test_g1_text_that_a_person_edited(known: Web) -> None:
    """A record as text that somebody changed by hand, well, is read as it is."""
    now = known.clock()
    plant(known, encode(Envelope(now, now, 31 * DAY * 1000, b'{"cart":[7]}', JSON)))
    assert known.data() == {"cart": [7]}


def test_g4_records_of_other_kinds(known: Web) -> None:
    """A cut-off or a tombstone in place of a session opens no session."""
    now = known.clock()
    for body, reasons in (
        (Cutoff(now), ["corrupt"]),
        (Tombstone(Fate.ENDED, now + 1000), ["unknown_id"]),
        (Tombstone(Fate.SUPERSEDED, now + 1000, "ab" * 32), ["superseded"]),
        (Tombstone(Fate.ALIAS, now + 1000, "ab" * 32), ["unknown_id"]),
        (Tombstone(Fate.ALIAS, now + 1000, "ab" * 32, b"s" * 32), ["unknown_id"]),
        (Tombstone(Fate.SUPERSEDED, now, "ab" * 32), ["unknown_id"]),
    ):
        plant(known, encode(body))
        assert known.data() == {}
        assert [reason for reason in known.reasons() if reason] == reasons


def test_g4_a_bad_record_met_at_save(known: Web, caplog: pytest.LogCaptureFixture) -> None:
    """A record that is damaged while a request runs makes its save a dropped one, not an error."""

    def view() -> None:
        session["a"] = 1
        plant(known, b"\x01damaged")

    with caplog.at_level(logging.WARNING):
        response = known.do(view)
    assert response.status_code == 200
    assert not cookies_set(response)
    assert known.data() == {}


def test_g_a_foreign_record_is_never_written_over(known: Web) -> None:
    """A newer release's record under a live key is intact after the requests of an older one."""
    plant(known, b"\x7fnewer")
    known.put(a=1)
    record = known.memory.load(Keys("session:").key_of(known.token() or ""))
    assert record is not None
    assert b"\x7fnewer" in [record.data for _, record in known.memory.scan(limit=10).items]


# --- T: times --------------------------------------------------------------------------------------------------------


def test_t1_the_idle_timeout_is_exact(known: Web) -> None:
    """A session is good until its last millisecond, and not at its end."""
    known.clock.advance_ms(31 * DAY * 1000 - 1)
    copy = known.twin()
    record = known.memory.load(key_of(known))
    assert record is not None
    assert known.data(copy) == {"cart": [1]}
    known.clock.advance_ms(31 * DAY * 1000)
    known.take_heard()
    assert known.data(copy) == {}
    assert known.reasons() == ["expired_idle"]


def test_t1_a_shorter_timeout_holds_at_once(known: Web) -> None:
    """A timeout that is shortened ends sessions that are idle for longer, whatever the store still has."""
    known.clock.advance(3600)
    known.app.config["PERMANENT_SESSION_LIFETIME"] = 3600
    assert known.data() == {}
    assert known.reasons() == ["expired_idle"]


def test_t1_a_longer_timeout_holds_at_the_next_use(known: Web) -> None:
    """A timeout that is lengthened counts from the next use that is worth a write."""
    known.app.config["PERMANENT_SESSION_LIFETIME"] = 60 * DAY
    known.clock.advance(6 * DAY)
    assert known.data() == {"cart": [1]}
    known.clock.advance(59 * DAY)
    assert known.data() == {"cart": [1]}


def test_t1_activity_does_not_move_the_absolute_timeout(known: Web) -> None:
    """A session in steady use is over when its absolute timeout is."""
    known.app.config.update(SESSION_ABSOLUTE_LIFETIME=10 * DAY, PERMANENT_SESSION_LIFETIME=DAY)
    for _ in range(19):
        known.clock.advance(DAY / 2)
        assert known.data() == {"cart": [1]}
    known.clock.advance_ms(DAY * 500 - 1)
    assert known.data() == {"cart": [1]}
    known.clock.advance_ms(1)
    known.take_heard()
    assert known.data() == {}
    assert known.reasons() == ["expired_absolute"]


@pytest.mark.parametrize("ahead", [SKEW + 1, 3_600_000, 2**31, 2**32, 2**53, 2**63, 2**64 - 1 - 1_800_000_000_000])
@pytest.mark.parametrize("field", ["created_at", "issued_at"])
def test_t2_a_record_from_the_future(known: Web, field: str, ahead: int) -> None:
    """A record made later than clocks may differ is not valid yet."""
    plant(known, envelope(known, MSGPACK.dumps({"a": 1}), **{field: known.clock() + ahead}))
    assert known.data() == {}
    assert known.reasons() == ["not_yet_valid"]


@pytest.mark.parametrize("ahead", [1, 1000, SKEW])
def test_t2_a_clock_that_is_a_little_ahead(known: Web, ahead: int) -> None:
    """A record made on a machine whose clock is ahead within the skew is good."""
    plant(known, envelope(known, MSGPACK.dumps({"a": 1}), created_at=known.clock() + ahead))
    assert known.data() == {"a": 1}


@pytest.mark.parametrize(
    "times", [{"created_at": 0}, {"idle": 0}, {"idle": 2**64 - 1}, {"created_at": 0, "issued_at": 0}]
)
def test_t2_absurd_times_are_dead(known: Web, times: dict[str, int]) -> None:
    """A record without a time, or with one that makes no sense, never lives longer for it."""
    plant(known, envelope(known, MSGPACK.dumps({"a": 1}), **times))
    assert known.do(lambda: session.get("a")).status_code == 200
    known.clock.advance(31 * DAY)
    assert known.data() == {}


@pytest.mark.parametrize("step", [-3600, -300, -61, -1, 1, 300, 3600])
def test_t3_a_clock_that_steps(known: Web, step: int) -> None:
    """A clock that is set back or forward by up to an hour causes no error, and revives no session."""
    known.put(_user_id="ada")
    dead = known.twin()
    known.do(end, known.twin())
    known.put(a=1)
    known.clock.advance(step)
    for view in (lambda: session.get("a"), lambda: session.update(b=2), rotate):
        assert known.do(view).status_code == 200
    assert known.data(dead) == {}


def test_t3_a_clock_set_back_does_not_end_sessions(known: Web) -> None:
    """Sessions survive a clock that is set back by less than the skew."""
    known.clock.advance(-59)
    assert known.data() == {"cart": [1]}


@pytest.mark.parametrize(
    "lifetime", [1, 60, 30 * DAY, 30 * DAY + 1, 31 * DAY, 400 * DAY, 401 * DAY, timedelta.max, 0.5]
)
def test_t4_every_lifetime(web: Web, lifetime: Any) -> None:
    """Any lifetime from half a second to the longest timedelta works, as the idle and as the absolute timeout."""
    web.app.config.update(
        PERMANENT_SESSION_LIFETIME=lifetime, SESSION_ABSOLUTE_LIFETIME=lifetime, SESSION_PERMANENT=True
    )
    web.put(a=1)
    assert web.see(lambda: session.get("a")) == 1 or lifetime == 0.5


@pytest.mark.parametrize(
    "lifetime", [0, -1, timedelta(0), timedelta(days=-1), math.nan, math.inf, "31 days", True, 1e300]
)
@pytest.mark.parametrize(
    "name", ["PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME", "SESSION_RENEWAL_INTERVAL"]
)
def test_t4_lifetimes_that_make_no_sense(name: str, lifetime: Any) -> None:
    """A lifetime that is no positive span is an error at the start, which names the setting and the value."""
    with pytest.raises(ConfigurationError, match=rf"{name} is .*: it must be seconds greater than 0, or a timedelta"):
        Web(**{name: lifetime})


# --- every embedded store --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [*FOREIGN.values(), *DAMAGED.values()], ids=[*FOREIGN, *DAMAGED])
def test_bad_records_in_every_embedded_store(tmp_path: Path, data: bytes) -> None:
    """Planted in SQLite, in a folder of files or in a JSON file, a bad record is no session and no error."""
    for url in ("sqlite:///s.db", "file:///s", "json:///s.json"):
        web = Web()
        store = open_store(url, root=tmp_path, clock=web.clock)
        web.app.session_interface.manager.store = store  # type: ignore[attr-defined]
        web.put(cart=[1])
        assert web.data() == {"cart": [1]}
        record = store.load(key_of(web))
        assert record is not None
        store.replace(key_of(web), data, expect=record.version, expires_at=record.expires_at)
        web.take_heard()
        assert web.data() == {}
        assert web.reasons() == ["corrupt"]
        web.put(a=1)
        assert web.data() == {"a": 1}
        getattr(store, "close", lambda: None)()
