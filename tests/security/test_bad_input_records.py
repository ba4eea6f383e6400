"""The catalogue of bad input, what is stored and when: no record and no clock makes an error, or a user of anybody."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import pickle  # noqa: TID251  # what an attacker would store
import sqlite3
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from security.bad_input import user
from security.bugs import never_idle, never_too_old
from security.rows import requirement
from security.steps import WebOn, another, meddling, signed_in
from support.dumps import dump, overwrite, removed
from support.servers import Server, ask
from support.web import Web, cookies_set, end, rotate

from holdfast import envelope, policy
from holdfast.codec import JSON
from holdfast.codec.strict import StrictCodec
from holdfast.envelope import Envelope, Fate, Tombstone, encode
from holdfast.errors import ConfigurationError, DecodeError
from holdfast.flask import session
from holdfast.flows import opening
from holdfast.operations import Flow, Replace
from holdfast.policy import RETENTION, SKEW, Policy
from holdfast.record import Record
from holdfast.store import Indexes, Iterates, Purges
from holdfast.stores import _redis_scripts, files, mongodb, sql, sqlite
from holdfast.stores import redis as redis_store

DAY = 24 * 3600
FAR = 4_000_000_000_000

# --- the bugs ---------------------------------------------------------------------------------------------------------


def a_bad_payload_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be decoded is an error of the request."""

    def loads(self: StrictCodec, payload: bytes) -> dict[Any, Any]:
        return dict(self._parse(payload))

    monkeypatch.setattr(StrictCodec, "loads", loads)


def a_bad_payload_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose payload cannot be decoded goes on under its id, empty."""
    loads = StrictCodec.loads

    def lenient(self: StrictCodec, payload: bytes) -> dict[Any, Any]:
        with suppress(DecodeError):
            return loads(self, payload)
        return {}

    monkeypatch.setattr(StrictCodec, "loads", lenient)


def bad_records_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged record is met again at every request."""

    def leave(key: str, *, foreign: bool) -> Flow[opening.Refusal]:
        del key, foreign
        yield from ()
        return opening.Refusal("corrupt")

    monkeypatch.setattr(opening, "_set_aside", leave)


def unknown_formats_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format byte that is not known ends in an error."""

    def decode(data: bytes) -> Any:
        return envelope._DECODERS[data[0]](data)

    monkeypatch.setattr(opening, "decode", decode)


def any_kind_is_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of a rotation is taken for the session that it leads to."""

    def decode(data: bytes) -> Any:
        body = envelope.decode(data)
        at, payload = 1_800_000_000_000, b"\x81\xa4user\xa6victim"
        return Envelope(at, at, 31 * DAY * 1000, payload) if isinstance(body, Tombstone) and body.successor else body

    monkeypatch.setattr(opening, "decode", decode)


def decompresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What begins as compressed data does is decompressed."""

    def unpack(data: bytes) -> Any:
        with suppress(zlib.error, EOFError):
            return envelope.decode(zlib.decompress(data, wbits=47))
        raise ValueError("not compressed")

    for byte in (0x1F, 0x78):
        monkeypatch.setitem(envelope._DECODERS, byte, unpack)


def any_value_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's columns are taken for what they should be."""
    monkeypatch.setattr(sqlite, "_record", Record)


def any_field_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document's fields are taken for what they should be."""

    def trusting(document: dict[str, Any]) -> Record:
        return Record(document["data"], document["version"], int(document["expires_at"]), document["owner"])

    monkeypatch.setattr(mongodb, "_record", trusting)


def owners_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner in a row is taken for valid UTF-8."""
    monkeypatch.setattr(
        sql, "_record", lambda row: Record(bytes(row.data), row.version, row.expires_at, row.owner.decode())
    )


def files_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is taken for one of ours, and for whole."""

    def decode(raw: bytes) -> Record:
        _, size, version, expires_at, _ = files._HEADER.unpack_from(raw)
        start = files._HEADER.size + max(size, 0)
        owner = None if size < 0 else raw[files._HEADER.size : start].decode()
        return Record(raw[start:], version, expires_at, owner)

    monkeypatch.setattr(files, "_decode", decode)


def wrong_types_are_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of another type under our name counts as an outage."""
    monkeypatch.setattr(redis_store, "_is_of_another_type", lambda error: False)


def wrong_types_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of another type under our name counts as a live session's."""
    good = encode(Envelope(1_800_000_000_000, 1_800_000_000_000, 31 * DAY * 1000, b"\x81\xa4user\xa3eve"))
    load = redis_store.RedisClusterStore.load

    def generous(self: Any, key: str, /) -> Record | None:
        found = load(self, key)
        return replace(found, data=good) if found and not found.data else found

    monkeypatch.setattr(redis_store.RedisClusterStore, "load", generous)


def only_the_store_ends_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is good as long as Redis has it."""
    monkeypatch.setattr(Policy, "verdict", lambda self, envelope, expires_at, now: None)
    monkeypatch.setattr(redis_store, "record_in", lambda value, now: _redis_scripts.record_in(value, 0))


def saves_what_was_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save makes the record again when it is gone."""
    run = Replace.run

    def insist(self: Replace, store: Any) -> Any:
        answer = run(self, store)
        if not isinstance(answer, int | str | bytes) and store.load(self.key) is None:
            return store.create(self.key, self.data, expires_at=self.expires_at, owner=self.owner)
        return answer

    monkeypatch.setattr(Replace, "run", insist)


def the_limit_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the very moment of its end a session is still good."""
    verdict = Policy.verdict
    monkeypatch.setattr(Policy, "verdict", lambda self, body, until, now: verdict(self, body, until, now - 1))


def the_future_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record from the future is as good as any."""
    monkeypatch.setattr(policy, "SKEW", 1 << 70)


def no_clock_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that was made a moment later than now is not valid."""
    monkeypatch.setattr(policy, "SKEW", 0)


def ttl_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to live is a thousand times what it should be."""
    init = _redis_scripts.Write.__init__

    def begin(self: Any, data: bytes, expires_at: int, owner: str | None, at: int) -> None:
        init(self, data, expires_at, owner, at)
        self.ttl *= 1000

    monkeypatch.setattr(_redis_scripts.Write, "__init__", begin)


def no_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to live is left out when a record is written again."""
    code = _redis_scripts.CREATE.code.replace(b"'PX', ttl)", b"'KEEPTTL')")
    for script in (_redis_scripts.CREATE, _redis_scripts.REPLACE, _redis_scripts.MOVE):
        monkeypatch.setattr(script, "code", script.code.replace(b"'PX', ttl)", b"'KEEPTTL')"))
        monkeypatch.setattr(script, "sha", "0" * 40)
    assert b"KEEPTTL" in code


def lifetimes_are_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifetime of more than 2^31 milliseconds is cut to those bits."""
    expires_at = Policy.expires_at
    monkeypatch.setattr(
        Policy, "expires_at", lambda self, at, now: now + ((expires_at(self, at, now) - now) & 0x7FFFFFFF) % 86_400_000
    )


def zero_is_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifetime of nothing or less is taken for none at all."""
    monkeypatch.setattr(Policy, "__post_init__", lambda self: None)
    from holdfast.flask import config

    sound = config._milliseconds
    monkeypatch.setattr(
        config, "_milliseconds", lambda name, value: sound(name, value) if value and _positive(value) else FAR
    )


def _positive(value: Any) -> bool:
    return bool(value > timedelta(0) if isinstance(value, timedelta) else value > 0)


# --- what is planted --------------------------------------------------------------------------------------------------

WHOLE = {
    "nothing": b"",
    "one byte": b"\x07",
    "a format byte": b"\x01",
    "zeros": bytes(200),
    "0xff": b"\xff" * 200,
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "gzip": gzip.compress(b'{"user":"victim"}'),
    "a pickle": pickle.dumps({"user": "victim"}),
    "msgpack": b"\x81\xa4user\xa6victim",
    "JSON": b'{"user":"victim"}',
    "a JSON list": b"[1,2]",
    "a newer format": b"\x7f" + bytes(100),
    "metadata beyond the end": b"\x01" + struct.pack(">QQQI", 1, 1, 1, 2**32 - 1),
    "metadata that is none": b"\x01" + struct.pack(">QQQI", 1, 1, 1, 3) + b"x:y",
    "text cut short": b'{"created_at":1,"issued_at":1,"idle":1,"meta":{},"payl',
    "half a tombstone": b"\x02\x01",
    "a fate nobody knows": b"\x02\x09" + bytes(72),
    "half a cut-off": b"\x03\x00",
    "half a sealed one": b"\x04\x01\x00",
}

MSGPACK_PAYLOADS = [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01", b"\x81\xa1a" + b"\x91" * 200_000 + b"\x01", b"\x81\xa1a" * 100_000 + b"\x01",
    b"\x81\xa1a\xd4\x63\x00", b"\x81\xa1a\xc7\x0c\xff" + b"\xff" * 12, b"\x81\x91\x01\x01", b"\x81\xa1a\x01\x00",
    b"\x93\x01\x02\x03", b"\xc0", b"\xa3abc", b"\x81\xa1a\xa2\xff\xfe", b"", b"\xc1", b"\x81\xa1a",
    b"\x82\xa1a\x01\xa1a\x02",
]  # fmt: skip
JSON_PAYLOADS = [
    b"[" * 200_000 + b"]" * 200_000, b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'{"a":' + b"9" * 4301 + b"}", b'{"a":NaN}', b'{"a":1e999}',
    b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'\xef\xbb\xbf{"a":1}', b'{"a":1,"a":2}', b"[]", b"null", b'"s"', b"1",
    b'{"a":1} {"b":2}', b"", b'{"a":1',
]  # fmt: skip


def body_of(web: Web) -> Envelope:
    """Return the envelope of the browser's session."""
    body = envelope.decode(web.memory.load(web.see(lambda: session.handle)).data)
    assert isinstance(body, Envelope)
    return body


def instead(data: bytes, planted: bytes, *, whole: bool) -> Callable[[bytes], bytes]:
    """Return what puts *planted* in the place of a value, or of the record *data* in it."""
    return lambda value: planted if whole else value.replace(data, planted)


def ways(place: str) -> tuple[bool, ...]:
    """Return how a record can be written over: whole, and where a value is more than the data, the data in it."""
    return (True, False) if place.startswith(("file", "unix", "redis", "memcached")) else (True,)


def assert_set_aside(web: Web, reasons: set[str], what: object) -> None:
    """Assert that the browser's record, which is bad, is nobody's, told of once a request, and in nobody's way."""
    token = web.token()
    for _ in range(2):
        web.take_heard()
        response = web.do(lambda: str(dict(session)), web.with_token(token))
        assert (response.status_code, response.text, cookies_set(response)) == (200, "{}", []), what
        assert set(web.reasons()) <= reasons, what
    browser = web.with_token(token)
    response = web.do(lambda: session.update(a=1), browser)
    assert (response.status_code, len(cookies_set(response))) == (200, 1), what
    assert web.token(browser) != token, what
    assert web.data(browser) == {"a": 1}, what


def assert_others_are_served(web: Web, what: object) -> None:
    """Assert that what goes over all sessions, or over a user's, is in order."""
    for view in (end, rotate, lambda: session.bind("ada")):
        assert web.do(view, web.with_token(web.token())).status_code == 200, what
    if isinstance(web.memory, Indexes):
        assert isinstance(web.sessions.of("ada"), list), what
        assert web.sessions.revoke_all("ada") >= 0, what
        web.clock.advance_ms(1)  # what begins at the moment of the end is ended too
    if isinstance(web.memory, Iterates):
        assert web.sessions.count() >= 0, what
        assert web.sessions.scan() is not None, what
    if isinstance(web.memory, Purges):
        assert web.sessions.manager.purge() >= 0, what


@requirement(
    "Catalogue G4",
    says="What is no record of ours, or half of one, is nobody's session: told of, set aside, and never an error.",
    mutants=[unknown_formats_are_errors, bad_records_stay],
)
def test_what_is_no_record_is_set_aside(place: str, web_on: WebOn) -> None:
    """Nothing, zeros, HTML, gzip, a pickle or a part, put under a live key with the plain driver of each store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for whole in ways(place):
        for what, planted in WHOLE.items():
            if whole and planted[:1] == b"\x01" and place.startswith("memcached"):
                continue  # this looks as if the client gave the answer to another question, and then it is an outage
            web.browser = signed_in(web)
            key, data = web.see(lambda: session.handle), encode(body_of(web))
            overwrite(web, place, key, instead(data, planted, whole=whole))
            assert_set_aside(web, {"corrupt", "unknown_id"}, what)
    assert_others_are_served(web, "foreign records among them")
    web.browser = signed_in(web)
    key, data = web.see(lambda: session.handle), encode(body_of(web))
    overwrite(web, place, key, instead(data, data[:40], whole=not ways(place)[1:]))
    assert web.data() == {}
    web.take_heard()
    assert web.data() == {}
    assert web.reasons() == ["unknown_id"], "a damaged record of ours is removed when it is met"


@requirement(
    "Catalogue G1",
    says="Hostile JSON in a record of ours is nobody's session.",
    mutants=[a_bad_payload_is_an_error, a_bad_payload_is_empty],
)
@requirement(
    "Catalogue G2",
    says="Hostile msgpack in a record of ours is nobody's session.",
    mutants=[a_bad_payload_is_an_error, a_bad_payload_is_empty],
)
def test_a_hostile_payload_is_set_aside(place: str, web_on: WebOn) -> None:
    """Deep, huge by claim, cut, trailing, of other types, in both formats, on every store: corrupt, and then gone."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    body = body_of(web)
    forms = [replace(body, payload=payload) for payload in MSGPACK_PAYLOADS]
    forms += [replace(body, payload=payload, codec=JSON) for payload in JSON_PAYLOADS]
    for form in forms if place == "memory://" else forms[::3]:  # to a store they are bytes
        web.browser = web.app.test_client()
        web.put(a=1)
        key, data = web.see(lambda: session.handle), encode(body_of(web))
        overwrite(web, place, key, instead(data, encode(form), whole=not ways(place)[1:]))
        web.take_heard()
        response = web.do(lambda: str(dict(session)))
        assert (response.status_code, response.text, cookies_set(response)) == (200, "{}", []), form.payload[:40]
        assert web.reasons() == ["corrupt"], form.payload[:40]
        web.data()
        assert web.reasons() == ["unknown_id"], form.payload[:40]


@requirement(
    "Catalogue G3",
    says="Nothing that is stored is decompressed.",
    mutants=[decompresses],
)
def test_compressed_data_stays_compressed(place: str, web_on: WebOn) -> None:
    """Bombs of four formats, nested, cut short and around a good record: nobody's, in little memory, on every store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    data = encode(body_of(web))
    large = data + bytes(8 << 20)
    bombs = [gzip.compress(large), zlib.compress(large), gzip.compress(gzip.compress(large)), gzip.compress(data),
             zlib.compress(data), bz2.compress(data), lzma.compress(data), gzip.compress(large)[:-9]]  # fmt: skip
    for bomb in [*bombs, *(encode(replace(body_of(web), payload=bomb)) for bomb in bombs[:2])]:
        web.browser = web.app.test_client()
        web.put(user="victim")
        key, old = web.see(lambda: session.handle), encode(body_of(web))
        overwrite(web, place, key, instead(old, bomb, whole=not ways(place)[1:]))
        tracemalloc.start()
        try:
            assert web.do(lambda: str(dict(session))).text == "{}"
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()


# --- what databases can be made to hold -------------------------------------------------------------------------------


def _put_in_sqlite(place: str, key: str, column: str, value: Any) -> None:
    with closing(sqlite3.connect(place.partition(":///")[2])) as database, database:
        database.execute(f"UPDATE sessions SET {column} = ? WHERE key = ?", (value, key))  # noqa: S608 (a fixed name)


@requirement(
    "Catalogue S",
    says="A row whose columns hold values of other types is nobody's session, and no error.",
    mutants=[any_value_is_a_record],
)
@pytest.mark.kinds("sqlite")
def test_a_row_of_other_types_is_nobody_s(place: str, web_on: WebOn) -> None:
    """Numbers, text and bytes where SQLite takes any of them: no error, and what goes over all sessions goes on."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    values: list[Any] = [5, 0, -1.5, "", "{", "\x01text", b"", b"\x00", "1e999", 2**62]
    for column in ("data", "version", "owner", "expires_at"):
        for value in values:
            web.browser = signed_in(web)
            _put_in_sqlite(place, web.see(lambda: session.handle), column, value)
            response = web.do(user)
            assert response.status_code == 200, (column, value)
            assert web.do(lambda: session.update(a=1)).status_code == 200, (column, value)
            assert_others_are_served(web, (column, value))
            if column == "data":
                assert response.text == "None", value


@requirement(
    "Catalogue S",
    says="A row with an owner or data that nobody wrote is no error.",
    mutants=[owners_are_text],
)
@pytest.mark.kinds("mariadb", "postgresql")
def test_a_row_with_other_bytes_is_no_error(place: str, web_on: WebOn) -> None:
    """An owner that is no text, empty or another's, and versions and times at the ends of what the columns hold."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    engine = sa.create_engine(place)
    table = sa.Table(
        "holdfast_sessions", sa.MetaData(), *(sa.Column(name) for name in ("key", "owner", "version", "expires_at"))
    )
    edits: list[tuple[str, Any]] = [("owner", value) for value in (b"\xff\xfe", b"", b"\x00", b"x" * 255)]
    edits += [("version", value) for value in (-1, 0, 2**63 - 1)]
    edits += [("expires_at", value) for value in (-1, 0, 2**63 - 1)]
    try:
        for column, value in edits:
            web.browser = signed_in(web)
            key = web.see(lambda: session.handle)
            with engine.begin() as connection:
                connection.execute(table.update().where(table.c.key == key).values({column: value}))
            for view in (lambda: session.get("user"), lambda: session.update(a=1), rotate, end):
                assert web.do(view).status_code == 200, (column, value)
            assert_others_are_served(web, (column, value))
    finally:
        engine.dispose()


@requirement(
    "Catalogue N",
    says="A document whose fields are of other types is nobody's session, and no error.",
    mutants=[any_field_is_a_record],
)
@pytest.mark.kinds("mongodb")
def test_a_document_of_other_types_is_nobody_s(place: str, web_on: WebOn) -> None:
    """Null, numbers, text, lists, operators, code and missing fields in MongoDB: nobody, and never an error."""
    import bson
    import pymongo

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    database, _, collection = place.rpartition("/")[2].partition(".")
    values: list[Any] = [None, 1.5, "text", [b"x"], {"a": {"$ne": 1}}, True, bson.Code("1")]
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        documents = client[database][collection]
        for field in ("data", "version", "owner", "expires_at"):
            for edit in [*({"$set": {field: value}} for value in values), {"$unset": {field: ""}}]:
                web.browser = signed_in(web)
                documents.update_one({"_id": web.see(lambda: session.handle)}, edit)
                response = web.do(user)
                assert response.status_code == 200, edit
                assert web.do(lambda: session.update(a=1)).status_code == 200, edit
                assert response.text == "None" or field == "owner", edit
            assert_others_are_served(web, field)


@requirement(
    "Catalogue P",
    says="A file under a record's name that is none of ours, or damaged, is nobody's session, and no error.",
    mutants=[files_are_whole],
)
@pytest.mark.kinds("files")
def test_a_damaged_file_is_nobody_s(place: str, web_on: WebOn) -> None:
    """Every truncation of a session's file, and 0x00 and 0xff in the place of each byte: no error."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.browser = signed_in(web)
    key = web.see(lambda: session.handle)
    path = Path(place.partition(":///")[2]) / key[:2] / key
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [whole[:at] + bytes([byte]) + whole[at + 1 :] for at in range(len(whole)) for byte in (0, 255)]
    for raw in damaged:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
        response = web.do(user, web.with_token(web.token()))
        assert response.status_code == 200, raw
        assert len(raw) == len(whole) or response.text == "None", raw
    assert_others_are_served(web, "a damaged file")


@requirement(
    "Catalogue R",
    says="A value of another type under our name in Redis is nobody's session: corrupt, and no error.",
    mutants=[wrong_types_are_outages, wrong_types_are_nothing],
)
@pytest.mark.kinds("redis")
def test_another_type_in_redis_is_nobody_s(place: str, web_on: WebOn) -> None:
    """A list, a set, a hash, a sorted set, a stream or text under a live name, before and amid a request."""
    import redis

    prefix = place.partition("?prefix=")[2]
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        makers: list[Callable[[str], Any]] = [
            lambda name: client.rpush(name, "x"), lambda name: client.sadd(name, "x"),
            lambda name: client.hset(name, "x", "1"), lambda name: client.zadd(name, {"x": 1}),
            lambda name: client.xadd(name, {"x": "1"}), lambda name: client.set(name, "x"),
            lambda name: client.set(name, ""), lambda name: client.setbit(name, 7, 1),
        ]  # fmt: skip
        for make in makers:
            web.browser = signed_in(web)
            name = prefix + web.see(lambda: session.handle)
            client.delete(name)
            make(name)
            web.take_heard()
            assert web.do(user).text == "None"
            assert web.reasons() == ["corrupt"]
            assert_set_aside(web, {"corrupt", "unknown_id"}, make)
            assert_others_are_served(web, make)

            web.browser = signed_in(web)
            name = prefix + web.see(lambda: session.handle)
            response = web.do(partial(_change, client, name, make))
            assert (response.status_code, cookies_set(response)) == (200, [])
            assert web.data() == {}


def _change(client: Any, name: str, make: Callable[[str], Any]) -> None:
    session["a"] = 1
    client.delete(name)
    make(name)


@requirement(
    "Catalogue R",
    says="A name in Redis that lost its time to live ends by the record's own time.",
    mutants=[only_the_store_ends_sessions, no_ttl],
)
@pytest.mark.kinds("redis")
def test_a_record_without_a_ttl_ends_in_time(place: str, web_on: WebOn) -> None:
    """After PERSIST the session is over at its time, and until then the next save gives the name its end again."""
    import redis

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    name = place.partition("?prefix=")[2] + web.see(lambda: session.handle)
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        assert client.persist(name)
        web.put(a=1)
        assert 0 < client.pttl(name) <= 31 * DAY * 1000 + RETENTION + 300_000
        assert client.persist(name)
        web.clock.advance(31 * DAY)
        assert web.data() == {}
        web.clock.advance(RETENTION // 1000)
        assert web.data() == {}
        assert client.exists(name)


@requirement(
    "Catalogue K",
    says="A value of another's under our name in memcached is nobody's session.",
    mutants=[unknown_formats_are_errors],
)
@pytest.mark.kinds("memcached")
def test_another_value_in_memcached_is_nobody_s(place: str, memcached_server: Server, web_on: WebOn) -> None:
    """Text, numbers, and values with the flags of pickles and of compression, under a live name: nobody, no error."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for flags in (0, 1, 2, 16, 65535):
        for value in (
            b"",
            b"1",
            b"17",
            b"text",
            pickle.dumps({"user": "victim"}),
            zlib.compress(b"x" * 100),
            b"\xff" * 90,
        ):
            web.browser = web.app.test_client()
            web.put(user="victim")
            key = web.see(lambda: session.handle).encode()
            said = ask(memcached_server.address, b"set %b %d 0 %d\r\n%b\r\n" % (key, flags, len(value), value))
            assert said == b"STORED\r\n"
            assert_set_aside(web, {"corrupt", "unknown_id"}, (flags, value))


@requirement(
    "Catalogue G4",
    says="A file of all sessions that is damaged is an outage, and is not written over until it was looked at.",
    mutants=[unknown_formats_are_errors],
)
@pytest.mark.kinds("json")
def test_a_damaged_file_of_all_sessions_is_kept(place: str, web_on: WebOn) -> None:
    """The JSON file cut short, or of other JSON: 503 without a deletion, the file as it is; repaired, all is there."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    path = Path(place.partition(":///")[2])
    whole = path.read_bytes()
    for planted in (whole[:-20], b"[]", b"<html>", b"\x00", b'{"a":1}', b"[" * 100_000, gzip.compress(whole), b"\xff"):
        path.write_bytes(planted)
        for view in (lambda: session.get("user"), lambda: session.update(a=1), end):
            response = web.do(view, web.with_token(web.token()))
            assert (response.status_code, cookies_set(response)) == (503, []), planted[:20]
        assert path.read_bytes() == planted
    path.write_bytes(whole)
    entries = json.loads(whole)
    assert web.data() == {"user": "victim"}
    [[name, entry]] = entries.items()
    entry.pop("data", None)
    for planted in WHOLE.values():
        path.write_text(json.dumps({name: {**entry, "base64": base64.b64encode(planted).decode()}}))
        response = web.do(user, web.with_token(web.token()))
        assert (response.status_code, response.text, cookies_set(response)) == (200, "None", []), planted


# --- T: times ---------------------------------------------------------------------------------------------------------


@requirement(
    "Catalogue T1",
    says="A session is over at its limit to the millisecond, although the store still has it.",
    mutants=[never_idle, never_too_old, the_limit_is_alive],
)
def test_a_session_is_over_at_its_limit(place: str, web_on: WebOn) -> None:
    """On every store: good until the last millisecond, over at the limit and after it, and not revived."""
    for name, reason in (
        ("PERMANENT_SESSION_LIFETIME", "expired_idle"),
        ("SESSION_ABSOLUTE_LIFETIME", "expired_absolute"),
    ):
        web = web_on(place, PROPAGATE_EXCEPTIONS=False, **{name: 600})
        web.put(user="victim")
        key, token = web.see(lambda: session.handle), web.token()
        web.clock.advance_ms(600_000 - 1)
        assert web.memory.load(key) is not None
        assert web.do(in_background, web.with_token(token)).text == "victim"
        web.clock.advance_ms(1)
        for wait in (0, 1, 58, DAY, 365 * DAY):
            web.clock.advance(wait)
            web.take_heard()
            web.store.reset()
            response = web.do(user, web.with_token(token))
            assert (response.status_code, response.text, cookies_set(response)) == (200, "None", [])
            assert web.reasons() == [reason if wait < DAY else "unknown_id"]
            assert set(web.store.counts) <= {"load"}
            if wait == 0:
                assert key.encode() in dump(web, place), "the store still has it"


def in_background() -> str:
    """Look at the session and leave its end where it is, as a view."""
    session.background = True
    return user()


@requirement(
    "Catalogue T1",
    says="A session whose record the store dropped is over, and no request in flight brings it back.",
    mutants=[saves_what_was_ended],
)
def test_a_record_that_the_store_dropped_stays_away(place: str, web_on: WebOn) -> None:
    """Removed with the plain driver, or expired, while a request runs: its change is dropped, with no cookie."""
    for way in ("removed", "expired"):
        for view in (lambda: session.update(a=1), rotate, lambda: session.bind("ada"), lambda: session.get("user")):
            web = web_on(place, PERMANENT_SESSION_LIFETIME=600, PROPAGATE_EXCEPTIONS=False)
            web.put(user="victim")
            key, token = web.see(lambda: session.handle), web.token()

            def meanwhile(way: str = way, key: str = key, web: Web = web, view: Callable[[], Any] = view) -> None:
                view()
                if way == "removed":
                    removed(web, place, key)
                else:
                    web.clock.advance(661)

            web.store.reset()
            response = web.do(meanwhile)
            assert (response.status_code, cookies_set(response)) == (200, []), way
            web.take_heard()
            assert web.do(user, web.with_token(token)).text == "None"
            assert web.reasons() == ["unknown_id"]
            assert web.memory.load(key) is None


@requirement(
    "Catalogue T2",
    says="A record from the future counts only as far ahead as clocks may differ.",
    mutants=[the_future_is_fine, no_clock_may_differ],
)
def test_a_record_from_the_future_is_not_valid_yet(place: str, web_on: WebOn) -> None:
    """Up to a minute ahead good, then not valid yet: a second more, a year, the year 9999, 2^31 to 2^63; or no time."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    now, body = web.clock(), body_of(web)
    year_9999 = 253_402_300_799_000
    aheads = [1000, SKEW, SKEW + 1, 365 * DAY * 1000, year_9999 - now, 2**31, 2**32, 2**53, 2**63]
    texts = (b"NaN", b"Infinity", b"true", b'"1800000000000"', b'"2027-01-15T08:00:00"', b"-1", b"1e3")
    for number, ahead in enumerate(aheads):
        for field in (
            ("created_at", "issued_at") if place == "memory://" else (("created_at", "issued_at")[number % 2],)
        ):
            data = encode(
                replace(body, created_at=now + ahead) if field == "created_at" else replace(body, issued_at=now + ahead)
            )
            expected = ("victim", []) if ahead <= SKEW else ("None", ["not_yet_valid"])
            assert met(web, place, data) == expected, (field, ahead)
    text = encode(replace(body, payload=b'{"user":"victim"}', codec=JSON))
    assert met(web, place, text) == ("victim", [])
    for value in texts:
        assert met(web, place, text.replace(b"%d" % body.created_at, value)) == ("None", ["corrupt"]), value


def met(web: Web, place: str, data: bytes) -> tuple[str, list[str]]:
    """Return who a session is whose record is *data*, and why it is nobody's."""
    web.browser = web.app.test_client()
    web.put(user="victim")
    key, old = web.see(lambda: session.handle), encode(body_of(web))
    overwrite(web, place, key, instead(old, data, whole=not ways(place)[1:]))
    web.take_heard()
    response = web.do(user)
    assert response.status_code == 200
    return response.text, web.reasons()


@requirement(
    "Catalogue T3",
    says="A clock that steps, or that is another process's, is no error, revives nothing, and ends no session early.",
    mutants=[no_clock_may_differ, the_future_is_fine],
)
def test_clocks_that_step_and_differ(place: str, web_on: WebOn) -> None:
    """Steps of a second to an hour both ways, and processes up to five minutes apart, on every store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="dead")
    dead, _ = web.token(), web.do(end)
    for step in (-3600, -300, -61, -59, -1, 1, 59, 300, 3600):
        web.browser = web.app.test_client()
        web.put(user="victim")
        other = another(web, web_on, place, PROPAGATE_EXCEPTIONS=False)
        other.clock.advance_ms(web.clock() - other.clock() + step * 1000)
        seen = other.do(user, other.with_token(web.token())).text
        assert seen == ("victim" if step >= -60 else "None"), step
        for view in (lambda: session.update(b=2), rotate, lambda: session.bind("ada")):
            assert other.do(view, other.with_token(web.token())).status_code == 200, step
        for each in (web, other):
            assert each.do(user, each.with_token(dead)).text == "None", step
        web.browser = web.app.test_client()
        web.put(user="victim")
        web.clock.advance(step)
        assert web.do(user).text == ("victim" if step >= -60 else "None"), step
        web.clock.advance(-step)


@requirement(
    "Catalogue T3",
    says="No clock makes Redis be told a time to live that is negative, nothing, or without an end.",
    mutants=[ttl_in_seconds, no_ttl],
)
@pytest.mark.kinds("redis")
def test_no_time_to_live_is_negative(place: str, web_on: WebOn) -> None:
    """Whatever the clock does between load and save, every name in Redis has an end ahead, at most a lifetime away."""
    import redis

    web = web_on(place, SESSION_ABSOLUTE_LIFETIME=600, PROPAGATE_EXCEPTIONS=False)
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        for step in (-3600, -1, 0, 599, 601, 659, 661, 3600):
            for view in (lambda: session.update(a=1), rotate, lambda: session.bind("ada"), end):
                web.browser = signed_in(web)
                response = web.do(partial(stepping, web, view, step))
                assert response.status_code == 200, step
                for name in client.scan_iter(place.partition("?prefix=")[2] + "*"):
                    left = client.pttl(name)
                    assert left == -2 or 0 < left <= 2 * (600_000 + RETENTION + 3_600_000) + 300_000, (step, name)
                web.clock.advance(-step)


def stepping(web: Web, view: Callable[[], Any], step: int) -> None:
    """Do what *view* does, and then let the clock step."""
    view()
    web.clock.advance(step)


@requirement(
    "Catalogue T4",
    says="Every lifetime from a second to the longest works on every store, and none is endless.",
    mutants=[lifetimes_are_32_bits, zero_is_for_ever],
)
@pytest.mark.filterwarnings("ignore:.*browsers keep a cookie:UserWarning")
def test_every_lifetime_works(place: str, web_on: WebOn) -> None:
    """30 days and a second more, 31, 400 and 401 days, and the longest timedelta: kept that long, and not after it."""
    for lifetime in (60, 30 * DAY, 30 * DAY + 1, 31 * DAY, 400 * DAY, 401 * DAY, timedelta.max):
        names = ("PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME")
        web = web_on(place, SESSION_PERMANENT=True, PROPAGATE_EXCEPTIONS=False, **dict.fromkeys(names, lifetime))
        [cookie] = cookies_set(web.put(user="victim"))
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        assert f"Max-Age={int(min(seconds, 400 * DAY))};" in cookie
        assert web.do(user).text == "victim"
        web.put(a=1)
        assert web.do(user).text == "victim"
        if isinstance(lifetime, int):
            web.clock.advance(lifetime - 1)
            token = web.token()
            assert web.do(user, web.with_token(token)).text == "victim"
            web.clock.advance(lifetime)
            assert web.do(user, web.with_token(token)).text == "None"
    for lifetime in (0, -1, timedelta(0), timedelta(days=-1)):
        for name in ("PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME"):
            with pytest.raises(ConfigurationError, match=name):
                web_on("memory://", **{name: lifetime})


@requirement(
    "Catalogue G4",
    says="A trace of a rotation, a cut-off or another user's record under a live key opens nothing of anybody's.",
    mutants=[any_kind_is_a_session],
)
def test_records_of_other_kinds_open_nothing(place: str, web_on: WebOn) -> None:
    """Tombstones of every fate, with successors that are there, and cut-offs, under a live key on every store."""
    web, _ = meddling(web_on, place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    now, victim = web.clock(), web.see(lambda: session.handle)
    bodies: list[Tombstone | envelope.Cutoff] = [envelope.Cutoff(now), envelope.Cutoff(now, victim)]
    for until in (now, now + 10**6, 2**63):
        bodies += [Tombstone(fate, until, victim, sealed) for fate in Fate for sealed in (None, b"s" * 32)]
    bodies += [Tombstone(fate, now + 10**6) for fate in Fate]
    if place != "memory://":
        bodies = bodies[::3]
    for body in bodies:
        text, reasons = met_at(web, place, encode(body))
        assert text == "None", body
        assert set(reasons) <= {"corrupt", "unknown_id", "superseded"}, body


def met_at(web: Web, place: str, data: bytes) -> tuple[str, list[str]]:
    """Do what `met` does where the store is wrapped."""
    inner = web.memory
    web.memory = getattr(inner, "store", inner)
    try:
        return met(web, place, data)
    finally:
        web.memory = inner
