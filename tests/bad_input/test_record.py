"""The catalogue of bad input, what is stored: no record makes an error, or a user of anybody."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from dataclasses import replace

from bad_input import planted_record as planted
from bad_input.storing import WHOLE, assert_others_are_served, assert_set_aside, body_of, met, plant, ways
from security.bugs import unknown_formats_are_errors
from security.rows import requirement
from security.steps import WebOn, meddling, signed_in
from support.web import Web, cookies_set

from holdfast.flask import session
from holdfast.records import envelope
from holdfast.records.codec import JSON
from holdfast.records.envelope import Fate, Tombstone, encode

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


@requirement(
    "Catalogue G4",
    says="Foreign or truncated data is no session: it is reported and removed, without an error.",
    mutants=[unknown_formats_are_errors, planted.bad_records_stay],
)
def test_what_is_no_record_is_set_aside(place: str, web_on: WebOn) -> None:
    """Empty data, zeros, HTML, gzip, a pickle or a part, stored under a live key with the driver of each store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for whole in ways(place):
        for what, data in WHOLE.items():
            if whole and data[:1] == b"\x01" and place.startswith("memcached"):
                continue  # this looks as if the client gave the answer to another question, and then it is an outage
            web.browser = signed_in(web)
            plant(web, place, data, whole=whole)
            assert_set_aside(web, {"corrupt", "unknown_id"}, what)
    assert_others_are_served(web, "foreign records among them")
    web.browser = signed_in(web)
    plant(web, place, encode(body_of(web))[:40])
    assert web.data() == {}
    web.take_heard()
    assert web.data() == {}
    assert web.reasons() == ["unknown_id"], "a damaged record of ours is removed when it is met"


@requirement(
    "Catalogue G1",
    says="Hostile JSON in a record is no session.",
    mutants=[planted.a_bad_payload_is_an_error, planted.a_bad_payload_is_empty],
)
@requirement(
    "Catalogue G2",
    says="Hostile msgpack in a record is no session.",
    mutants=[planted.a_bad_payload_is_an_error, planted.a_bad_payload_is_empty],
)
def test_a_hostile_payload_is_set_aside(place: str, web_on: WebOn) -> None:
    """Deep, of huge claimed size, cut, trailing, of other types, both formats, every store: corrupt, then removed."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    body = body_of(web)
    forms = [replace(body, payload=payload) for payload in MSGPACK_PAYLOADS]
    forms += [replace(body, payload=payload, codec=JSON) for payload in JSON_PAYLOADS]
    for form in forms if place == "memory://" else forms[::3]:  # to a store they are bytes
        web.browser = web.app.test_client()
        web.put(a=1)
        plant(web, place, encode(form))
        web.take_heard()
        response = web.do(lambda: str(dict(session)))
        assert (response.status_code, response.text, cookies_set(response)) == (200, "{}", []), form.payload[:40]
        assert web.reasons() == ["corrupt"], form.payload[:40]
        web.data()
        assert web.reasons() == ["unknown_id"], form.payload[:40]


@requirement(
    "Catalogue G3",
    says="Stored data is never decompressed.",
    mutants=[planted.decompresses],
)
def test_compressed_data_stays_compressed(place: str, web_on: WebOn) -> None:
    """Bombs of four formats, nested, cut and around a good record: no session, in little memory, on every store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    data = encode(body_of(web))
    large = data + bytes(8 << 20)
    bombs = [gzip.compress(large), zlib.compress(large), gzip.compress(gzip.compress(large)), gzip.compress(data),
             zlib.compress(data), bz2.compress(data), lzma.compress(data), gzip.compress(large)[:-9]]  # fmt: skip
    for bomb in [*bombs, *(encode(replace(body_of(web), payload=bomb)) for bomb in bombs[:2])]:
        web.browser = web.app.test_client()
        web.put(user="victim")
        plant(web, place, bomb)
        tracemalloc.start()
        try:
            assert web.do(lambda: str(dict(session))).text == "{}"
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()


@requirement(
    "Catalogue G4",
    says="A tombstone, a cut-off or another user's record under a live key opens no session.",
    mutants=[planted.any_kind_is_a_session],
)
def test_records_of_other_kinds_open_nothing(place: str, web_on: WebOn) -> None:
    """Tombstones of every kind, with existing successors, and cut-offs, under a live key on every store."""
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
