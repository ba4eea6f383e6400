"""Bad records in any store: no error, and no user is signed in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
from bad_input import payloads, records
from bad_input import planted_record as planted
from bad_input.storing import assert_others_are_served, assert_set_aside, body_of, met, plant, ways
from security.bugs import unknown_formats_are_errors
from security.rows import requirement
from security.steps import WebOn, meddling, signed_in
from support.web import Web, cookies_set

from holdfast.flask import session
from holdfast.records.codec import JSON
from holdfast.records.envelope import Cutoff, Tombstone, TombstoneKind, encode


@requirement(
    "Catalogue G4",
    says="Foreign or truncated data is no session: it is reported and removed, without an error.",
    mutants=[unknown_formats_are_errors, planted.bad_records_stay],
)
def test_what_is_no_record_is_set_aside(place: str, web_on: WebOn) -> None:
    """Empty data, zeros, HTML, gzip, a pickle or a part, stored under a live key with the driver of each store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for whole in ways(place):
        is_all_data = whole == ways(place)[-1]  # elsewhere the store's own header is gone, too
        for what, data in {**records.FOREIGN, **records.DAMAGED}.items():
            if whole and data[:1] == b"\x01" and place.startswith("memcached"):
                continue  # this looks as if the client gave the answer to another question, and then it is an outage
            web.browser = signed_in(web)
            plant(web, place, data, whole=whole)
            then = "corrupt" if what in records.FOREIGN else "unknown_id"
            reasons = ("corrupt", then) if is_all_data else ()
            keeps_cookie = (what in records.FOREIGN and data != b"") if is_all_data else None
            assert_set_aside(web, what, *reasons, keeps_cookie=keeps_cookie)
    assert_others_are_served(web, "foreign records among them")


@requirement(
    "Catalogue G4",
    says="A record that was cut off anywhere is no session, and is removed when it is met.",
    mutants=[planted.bad_records_stay],
)
def test_a_record_that_was_cut_off_is_removed(place: str, web_on: WebOn) -> None:
    """At every length in memory, at one on every other store: corrupt once, then unknown."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    for size in range(1, len(encode(body_of(web)))) if place == "memory://" else (40,):
        web.browser = web.app.test_client()
        web.put(user="victim")
        plant(web, place, encode(body_of(web))[:size])
        assert_set_aside(web, size, "corrupt", "unknown_id")


@pytest.mark.kinds("memory", "sqlite")
def test_a_record_that_turns_bad_during_a_request_is_not_saved(place: str, web_on: WebOn) -> None:
    """The change is dropped, with no error and no cookie."""
    web = web_on(place)
    web.put(user="victim")

    key = web.see(lambda: session.handle)
    record = web.memory.load(key)

    def view() -> None:
        session["a"] = 1
        web.memory.replace(key, b"\x01damaged", expect=record.version, expires_at=record.expires_at)

    response = web.do(view)
    assert (response.status_code, cookies_set(response)) == (200, [])
    assert web.data() == {}


@pytest.mark.kinds("memory")
def test_a_foreign_record_is_never_written_over(place: str, web_on: WebOn) -> None:
    """A newer release's record under a live key is intact after the requests of an older one."""
    web = web_on(place)
    web.put(user="victim")
    plant(web, place, b"\x7fnewer")
    web.put(a=1)
    assert b"\x7fnewer" in [record.data for _, record in web.memory.scan(limit=10).items]


@pytest.mark.kinds("memory")
def test_text_that_a_person_edited_is_read(place: str, web_on: WebOn) -> None:
    """A record in text form that was edited correctly by hand is read."""
    web = web_on(place)
    web.put(user="victim")
    plant(web, place, encode(replace(body_of(web), payload=b'{"user":"newcomer"}', codec=JSON)))
    assert web.data() == {"user": "newcomer"}


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
    forms = [replace(body, payload=payload) for payload in payloads.MSGPACK.values()]
    forms += [replace(body, payload=payload, codec=JSON) for payload in payloads.JSON.values()]
    for form in forms if place == "memory://" else forms[::8]:  # to a store they are bytes
        web.browser = web.app.test_client()
        web.put(a=1)
        plant(web, place, encode(form))
        assert_set_aside(web, form.payload[:40], "corrupt", "unknown_id")


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
    bombs = records.compressed(data)
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
    bodies = records.of_other_kinds(now, victim)
    if place != "memory://":
        bodies = bodies[::3]
    for body in bodies:
        text, reasons = met_at(web, place, encode(body))
        assert text == "None", body
        assert set(reasons) <= {"corrupt", "unknown_id", "superseded"}, body


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Cutoff, "corrupt"),
        (lambda now: Tombstone(TombstoneKind.ENDED, now + 1000), "unknown_id"),
        (lambda now: Tombstone(TombstoneKind.SUPERSEDED, now + 1000, "ab" * 32), "superseded"),
        (lambda now: Tombstone(TombstoneKind.SUPERSEDED, now, "ab" * 32), "unknown_id"),
        (lambda now: Tombstone(TombstoneKind.ALIAS, now + 1000, "ab" * 32), "unknown_id"),
        (lambda now: Tombstone(TombstoneKind.ALIAS, now + 1000, "ab" * 32, b"s" * 32), "unknown_id"),
    ],
    ids=["cut-off", "ended", "superseded", "superseded and over", "alias", "sealed alias"],
)
@pytest.mark.kinds("memory")
def test_why_a_record_of_another_kind_opens_nothing(
    place: str, web_on: WebOn, make: Callable[[int], Cutoff | Tombstone], reason: str
) -> None:
    """Each kind of record in place of a session has one reason, which is reported once."""
    web = web_on(place)
    assert met(web, place, encode(make(web.clock()))) == ("None", [reason])


def met_at(web: Web, place: str, data: bytes) -> tuple[str, list[str]]:
    """Do what `met` does where the store is wrapped."""
    inner = web.memory
    web.memory = getattr(inner, "store", inner)
    try:
        return met(web, place, data)
    finally:
        web.memory = inner
