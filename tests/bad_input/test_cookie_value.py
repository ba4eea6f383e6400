"""The value of the cookie: no value but the token opens a session, costs a lookup, or causes an error."""

from __future__ import annotations

import hashlib
import time
import tracemalloc
from collections.abc import Iterator
from itertools import chain

import pytest
from bad_input import changes, cookies
from bad_input import planted_cookie_value as planted
from bad_input.answers import assert_fresh_id, assert_header_nobody, assert_nobody, reason_for, send, victim
from itsdangerous import Signer
from security import planted_signatures as signatures
from security.bugs import (
    adopts_the_id,
    any_shape_is_looked_up,
    ignores_the_case_of_tokens,
    keys_are_tokens,
    no_namespace,
)
from security.planted_requirements_asvs_tokens import no_purpose
from security.rows import advisory, requirement
from security.steps import WebOn
from support.web import STRANGER, cookies_set

from holdfast.flask import session
from holdfast.records.tokens import Keys, is_token, new_token

SIGNED = {"SESSION_USE_SIGNER": True, "SECRET_KEY": cookies.KEY, "PROPAGATE_EXCEPTIONS": False}


@requirement(
    "Catalogue C1",
    says="An absent or empty cookie is not a bad cookie: no signal, no lookup, no deletion.",
    mutants=[planted.empty_is_malformed, planted.empty_is_a_token],
)
@pytest.mark.kinds("memory")
def test_no_cookie_is_nothing_to_tell(place: str, web_on: WebOn) -> None:
    """An absent or empty cookie, in every spelling: no signal, no call, no cookie; a write creates an id."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for header in cookies.EMPTY:
        for _ in range(2):
            assert_header_nobody(web, header, None)
        assert_fresh_id(web, header)
    assert_nobody(web, '""')


# --- what is nearly a token -------------------------------------------------------------------------------------------


def nearly(good: str, *, much: bool) -> Iterator[bytes]:
    """Yield every value that one change makes of *good* and that is another one alone in a header."""
    raw = good.encode()
    more = chain(changes.substitutions(raw, b"AZaz09-_\x00\xff"), changes.insertions(raw, [b"x", b"%", b"\n", b'"']))
    for value in chain(changes.slips(raw), changes.truncations(raw), changes.flips(raw), more if much else ()):
        if value.partition(b";")[0].strip(b" \t") not in (b"", raw):
            yield value


@requirement(
    "Catalogue C2",
    says="No truncation, deletion, insertion or transposition of a token leads to its session.",
    mutants=[planted.short_keys, any_shape_is_looked_up, planted.order_does_not_count],
)
@requirement(
    "Catalogue C3",
    says="No token that differs in a bit from another leads to its session.",
    mutants=[planted.short_keys, planted.order_does_not_count],
)
def test_a_damaged_token_is_another(place: str, web_on: WebOn) -> None:
    """On every store: a value without the form of a token costs no call, one with it one load, and opens no session."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    shaped = 0
    for value in nearly(token, much=place == "memory://"):
        shaped += reason_for(value) == "unknown_id"
        assert_nobody(web, value)
    assert shaped > 20
    assert_fresh_id(web, f"session={token[:-1]}")
    assert send(web, f"session={token}").text == "victim"


@pytest.mark.kinds("memory")
def test_a_piece_inside_of_a_token_makes_another(place: str, web_on: WebOn) -> None:
    """A piece at any place of a token, quoted or not, opens no session, unless the value ends there."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web).encode()
    pieces = [b"x", b"\n", b"%", b";", b'"', "é".encode(), b"\x00", b"="]
    for value in changes.insertions(token, pieces):
        assert send(web, b'session="' + value + b'"').text == "None", value
        ends_there = value.partition(b";")[0] == token
        assert send(web, b"session=" + value).text == ("victim" if ends_there else "None"), value


@advisory(
    "CVE-2026-40372",
    product="ASP.NET Core 10.0.0 to 10.0.6",
    cause="The signature was computed over the wrong bytes, and the result of the comparison was not used.",
    mutants=[
        signatures.computes_and_ignores,
        signatures.compares_what_is_there,
        signatures.signs_the_wrong_bytes,
        signatures.decodes_the_signature,
        signatures.zeros_are_good,
    ],
)
@requirement(
    "ASVS 9.1.1",
    "ASVS 4.0 3.5.3",
    "OWASP anomalies",
    says="The signature is checked before any lookup, and each value that fails is reported.",
    mutants=[
        signatures.computes_and_ignores,
        signatures.compares_what_is_there,
        signatures.signs_the_wrong_bytes,
        signatures.decodes_the_signature,
        planted.looks_up_first,
    ],
)
@requirement(
    "Catalogue C2",
    says="No truncation, deletion, insertion or transposition of a signed token is looked up.",
    mutants=[planted.half_a_signature, planted.looks_up_first],
)
@requirement(
    "Catalogue C3",
    says="No changed, exchanged or empty signature is accepted, and none costs a store call.",
    mutants=[planted.half_a_signature, planted.zeros_are_good, planted.looks_up_first],
)
@pytest.mark.kinds("memory")
def test_a_damaged_signature_costs_nothing(place: str, web_on: WebOn) -> None:
    """Every change of a signed cookie is refused before a lookup: bits, length, a tag of zeros, another's tag."""
    web = web_on(place, **SIGNED)
    value = victim(web)
    other = web.app.test_client()
    web.put(other, user="eve")
    token, tag = value.split(".")
    others_token, others_tag = (web.token(other) or "").split(".")
    tags = [others_tag, "", *(letter * len(tag) for letter in "A_0="), tag[::-1], tag.swapcase()]
    bad = [f"{token}.{other}" for other in tags]
    bad += [f"{others_token}.{tag}", f"{STRANGER}.{tag}", f"{token}..{tag}", f"{tag}.{token}", token]
    bad += [value + end for end in ("=", "==", ".", ".x", "\n", f".{tag}")]
    for each in bad:
        assert_nobody(web, each, signed=True)
    for changed in nearly(value, much=True):
        assert_nobody(web, changed, signed=True)


@advisory(
    "CVE-2026-25480",
    product="Litestar",
    cause="Names were normalized before they became file names, so that different keys led to the same file.",
    mutants=[planted.folds_spellings, ignores_the_case_of_tokens, planted.strips_tokens],
)
@advisory(
    "CVE-2024-55885",
    product="beego",
    cause="Names were made by a hash without collision resistance.",
    mutants=[planted.short_keys, planted.spare_bits_are_ignored],
)
@requirement(
    "Catalogue C4",
    "Catalogue C8",
    says="A token has one spelling: other encodings of the same bytes are refused.",
    mutants=[
        planted.folds_spellings,
        ignores_the_case_of_tokens,
        planted.strips_tokens,
        planted.spare_bits_are_ignored,
    ],
)
def test_a_token_has_one_spelling(place: str, web_on: WebOn) -> None:
    """On every store only the exact token opens a session."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    for spell in cookies.SPELLINGS.values():
        spelled = spell(token)
        if spelled != token:
            assert_nobody(web, spelled)
    assert send(web, f"session={token}").text == "victim"


# --- what others made -------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 9.2.2",
    "ASVS 9.2.4",
    says="A value signed with the same key for another purpose is no token.",
    mutants=[no_purpose],
)
@requirement(
    "Catalogue C5",
    says="Cookies of other makers, keys and purposes open no session; a fallback key's do, and are signed again.",
    mutants=[planted.any_key_will_do, planted.never_signs_again],
)
@pytest.mark.kinds("memory")
def test_cookies_of_other_makers_open_nothing(place: str, web_on: WebOn) -> None:
    """A signature for another purpose, or by an unknown key, is anonymous without a store call."""
    plain = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web = web_on(place, **SIGNED)
    token = victim(web)[:43]
    for name, value in cookies.foreign(token).items():
        assert_nobody(plain, value)
        assert_nobody(web, value, signed=True)
        if "Flask" in name:
            assert_fresh_id(web, f"session={value}")
    for value in cookies.MADE_UP:
        assert_nobody(web, value, signed=True)
    web.app.config["SECRET_KEY_FALLBACKS"] = [cookies.OLD]
    fallback = cookies.foreign(token)["a retired key"]
    response = send(web, f"session={fallback}")
    assert response.text == "victim"
    assert [each.partition(";")[0] for each in cookies_set(response)] == [f"session={web.token()}"]
    web.app.config["SECRET_KEY_FALLBACKS"] = []
    assert_nobody(web, fallback, signed=True)


@requirement(
    "ASVS 9.2.3",
    "ASVS 9.2.4",
    "Catalogue C5",
    says="A token of another application on the same store opens no session.",
    mutants=[no_namespace],
)
def test_a_token_of_another_application_opens_nothing(place: str, web_on: WebOn) -> None:
    """On one store with two prefixes, each application rejects the other's token as unknown and does not change it."""
    web = web_on(place, SESSION_KEY_PREFIX="shop:", PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    other = web_on(lambda _: web.memory, SESSION_KEY_PREFIX="blog:", PROPAGATE_EXCEPTIONS=False)
    assert_nobody(other, token)
    assert_fresh_id(other, f"session={token}")
    assert send(web, f"session={token}").text == "victim"


@requirement(
    "Catalogue C6",
    says="A well-signed value that is not a token is refused like any other.",
    mutants=[planted.trusts_what_is_signed],
)
@pytest.mark.kinds("memory")
def test_a_good_signature_makes_no_token(place: str, web_on: WebOn) -> None:
    """Our key and salt around null, a list, text, a number, objects, doubled keys or more: anonymous, no call."""
    web = web_on(place, **SIGNED)
    token = victim(web)[:43]
    for value in cookies.signed_by_us(token):
        assert_nobody(web, value, signed=True)
    twice = Signer(cookies.KEY, salt=cookies.SALT, key_derivation="hmac").sign(f"{token}.x").decode()
    assert_nobody(web, twice, signed=True)


@requirement(
    "Catalogue C6",
    says="A value sealed with our key that is not a session is refused like any other.",
    mutants=[planted.trusts_what_is_sealed],
)
def test_a_good_seal_makes_no_session(web_on: WebOn) -> None:
    """In a cookie that holds the session, other content sealed with our key is anonymous, without an error."""
    key = hashlib.sha256(b"a key").digest()
    web = web_on("memory://", SESSION_STORE="cookie://", SESSION_SEAL_KEYS=[key], PROPAGATE_EXCEPTIONS=False)
    good = cookies.seal(key, cookies.whole_session(web.clock()))
    assert send(web, f"session={good}").text == "victim", "the harness is alive"
    for inside in cookies.sealed_by_us(web.clock()):
        response = send(web, f"session={cookies.seal(key, inside)}")
        assert (response.status_code, response.text, cookies_set(response)) == (200, "None", []), inside


# --- what is no value of a cookie -------------------------------------------------------------------------------------


@requirement(
    "Catalogue C7",
    says="A value of more than 4096 bytes is refused by its length, before any computation.",
    mutants=[planted.length_comes_last, planted.copies_what_is_long],
)
@pytest.mark.kinds("memory")
def test_a_huge_value_is_refused_by_its_length(place: str, web_on: WebOn) -> None:
    """From 4 KB to 16 MB, signed or not: too long, no store call, memory and time proportional to the size."""
    for config in ({}, SIGNED):
        web = web_on(place, **{"PROPAGATE_EXCEPTIONS": False, **config})
        token = victim(web)
        for size in cookies.SIZES:
            for beginning in (token, ""):
                header = b"session=" + beginning.encode() + b"A" * size
                start = time.process_time()
                assert_header_nobody(web, header, "too_long")
                assert time.process_time() - start < 0.1 + size * 1e-7
        tracemalloc.start()
        try:
            assert_header_nobody(web, b"session=" + b"A" * (1 << 20), "too_long")
            assert tracemalloc.get_traced_memory()[1] < 6 << 20  # the request itself holds the header three times
        finally:
            tracemalloc.stop()


@requirement(
    "Catalogue C8",
    says="A value with characters beyond ASCII is refused before a lookup, and locks no user out.",
    mutants=[planted.recodes, any_shape_is_looked_up],
)
@pytest.mark.kinds("memory")
def test_what_is_not_ascii_is_no_token(place: str, web_on: WebOn) -> None:
    """Valid and invalid UTF-8 alone, before, in and after a token is refused; in another cookie it has no effect."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web).encode()
    for piece in cookies.NOT_ASCII:
        ends = (token[:40] + piece, token[: 43 - len(piece)] + piece)
        for value in (piece, piece + token, token + piece, token[:20] + piece + token[20:], *ends):
            assert_nobody(web, value)
        assert_fresh_id(web, b"session=" + piece)
        assert send(web, b"other=" + piece + b"; session=" + token).text == "victim"


@requirement(
    "Catalogue C9",
    says="A value with control characters, quotes, backslashes or escapes is anonymous, and reaches no header.",
    mutants=[planted.unescapes, any_shape_is_looked_up],
)
@pytest.mark.kinds("memory")
def test_what_is_no_character_of_a_token_is_refused(place: str, web_on: WebOn) -> None:
    """Each of them in the first, a middle and the last position, and line breaks followed by headers."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for value in cookies.with_bytes_of_no_token(victim(web).encode()):
        assert_nobody(web, value)
        if b"\n" in value:
            response = send(web, b"session=" + value, lambda: session.update(a=1))
            assert not {"X-Evil"} & set(response.headers.keys())
            assert len(response.headers.getlist("Set-Cookie")) == 1


# --- guesses ----------------------------------------------------------------------------------------------------------


@requirement(
    "Catalogue A",
    says="A guess opens no session and creates no record; the store and lists show no token.",
    mutants=[adopts_the_id, planted.handles_are_tokens, keys_are_tokens, any_shape_is_looked_up],
)
def test_guesses_lead_nowhere(place: str, web_on: WebOn) -> None:
    """On every store, well-formed guesses, one from many addresses, and the handle in many forms, are anonymous."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    handle = web.see(lambda: session.handle)
    for _ in range(300 if place == "memory://" else 60):
        assert_nobody(web, new_token())
    web.take_heard()
    for number in range(20):
        response = send(web, f"session={STRANGER}", REMOTE_ADDR=f"10.0.{number}.1")
        assert (response.status_code, response.text, cookies_set(response)) == (200, "None", [])
    assert web.reasons() == ["unknown_id"] * 20
    for value in cookies.MADE_UP:
        assert_nobody(web, value)
        assert_fresh_id(web, f"session={value}")
    digest = Keys("session:").key_of(token)
    for value in {handle, digest, handle.upper(), f"session:{handle}", f"holdfast:{handle}", f"session:{token}"}:
        assert reason_for(value) == "malformed"
        assert_nobody(web, value)
    for value in (handle[:43], handle[21:], handle[:42] + "A"):
        assert_nobody(web, value)
    assert is_token(token)
    assert send(web, f"session={token}").text == "victim"
