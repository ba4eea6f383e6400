"""The catalogue of bad input, what a client sends: no shape of a cookie opens, costs, stores or breaks anything."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import Signer, TimestampSigner
from security.bad_input import assert_fresh_id, assert_header_nobody, assert_nobody, send, user
from security.bugs import keys_are_tokens, no_namespace
from security.rows import requirement
from security.steps import WebOn, signed_in
from support import seams
from support.keyspace import counted
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast.flask import cookies, session
from holdfast.flask.cookies import Cookies, Presented, signing_salt
from holdfast.records import cookie
from holdfast.records.codec import MSGPACK
from holdfast.records.encryption import AesGcm, Keyring
from holdfast.records.envelope import Envelope, encode
from holdfast.records.tokens import Keys, is_token, labelled, new_token

KEY = "k1-" + "Xq7vN2mR9tB4wL6z" * 2
OLD = "k0-" + "pD8sF3hJ5kC1gV0y" * 2
SALT = signing_salt("session:", "session")
SIGNED = {"SESSION_USE_SIGNER": True, "SECRET_KEY": KEY, "PROPAGATE_EXCEPTIONS": False}

# --- the bugs ---------------------------------------------------------------------------------------------------------


def reading(monkeypatch: pytest.MonkeyPatch, change: Callable[[Presented], Presented]) -> None:
    """Let *change* have its way with what a request presents."""
    read = seams.COOKIE_READ.sound
    seams.COOKIE_READ.plant(monkeypatch, lambda self, app, request: change(read(self, app, request)))


def empty_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent cookie is reported as a bad one."""
    reading(monkeypatch, lambda found: Presented(reason="malformed") if found == Presented() else found)


def empty_is_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent or empty cookie is looked up like any other."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: text == "" or is_token(text))
    reading(monkeypatch, lambda found: Presented("") if found == Presented() else found)


def short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is computed from the first half of the token."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, token[:22]))


def any_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is not a token is looked up all the same."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)


def order_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is computed from the letters of the token in alphabetical order."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, "".join(sorted(token))))


def unsigning(monkeypatch: pytest.MonkeyPatch, accept: Callable[[Any, Flask, str], Presented | None]) -> None:
    """Ask *accept* about a signed value first; where it returns None the real check decides."""
    unsign = seams.COOKIE_UNSIGN.sound
    seams.COOKIE_UNSIGN.plant(
        monkeypatch, lambda self, app, value: accept(self, app, value) or unsign(self, app, value)
    )


def half_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first half of a signature is compared."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        right = cookies._sign(self._signers(app)[0], value[:43])
        return Presented(value[:43]) if is_token(value[:43]) and value[:57] == right[:57] else None

    unsigning(monkeypatch, accept)


def zeros_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature of zeros counts as valid."""
    unsigning(monkeypatch, lambda self, app, value: Presented(value[:43]) if set(value[44:]) == {"A"} else None)


def looks_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is checked after the store was called."""

    def accept(self: Any, app: Flask, value: str) -> None:
        if is_token(value[:43]):
            app.extensions["holdfast"].manager.store.load("0" * 64)

    unsigning(monkeypatch, accept)


def any_key_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retired key still verifies."""
    signers = seams.COOKIE_SIGNERS.sound

    def remembering(self: Cookies, app: Flask) -> list[Signer]:
        return [*signers(self, app), Signer(OLD, salt=SALT, key_derivation="hmac")]

    seams.COOKIE_SIGNERS.plant(monkeypatch, remembering)


def never_signs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie signed with a fallback key is not signed again."""
    reading(monkeypatch, lambda found: found._replace(stale=False))


def trusts_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any well-signed value is looked up."""
    seams.IS_TOKEN_IN_COOKIE.plant(monkeypatch, lambda text: True)
    any_shape(monkeypatch)


def trusts_what_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value sealed with our key is unpacked without a check of its kind."""
    unseal = seams.SEALED_COOKIE_UNSEAL.sound

    def trusting(self: Any, value: str) -> Any:
        raw = cookie._raw(value) or b""
        header = raw[: cookie._HEADER.size]
        inside = self._cipher(header).decrypt(raw[cookie._HEADER.size :], header)
        cookie._FIELDS.unpack_from(inside)[2].decode()
        return unseal(self, value)

    seams.SEALED_COOKIE_UNSEAL.plant(monkeypatch, trusting)


def length_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of any length is accepted."""
    seams.COOKIE_LARGEST_VALUE.plant(monkeypatch, 1 << 40)


def copies_what_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is split into letters before its length is checked."""
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: (list(header * 2), values(header, name))[1])


def recodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters beyond ASCII are dropped from a client's value."""
    reading(monkeypatch, lambda found: found._replace(token=found.token and re.sub(r"[^\x21-\x7e]", "", found.token)))


def unescapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters, quotes and escapes are decoded before the form is checked."""

    def plain(text: str) -> str:
        return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), re.sub(r'[\x00-\x1f\x7f"]', "", text))

    reading(monkeypatch, lambda found: found._replace(token=found.token and plain(found.token)))


def takes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several values the first is used."""
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: set(cookies._finder(name)(header)[:1]))


def takes_the_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several values one with the form of a token is used, the last if there are two."""
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(
        monkeypatch, lambda header, name: set(sorted(filter(is_token, values(header, name)))[-1:])
    )


def refuses_every_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie that is sent twice is refused even if both are the same."""
    values = seams.COOKIE_VALUES.sound

    def strict(header: str, name: str) -> set[str]:
        return {"x", "y"} if len(cookies._finder(name)(header)) > 1 else values(header, name)

    seams.COOKIE_VALUES.plant(monkeypatch, strict)


def compares_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cookie of a header is searched for among the others."""
    values = seams.COOKIE_VALUES.sound

    def slow(header: str, name: str) -> Any:
        pairs = header.split(";")
        for pair in pairs[:1000]:
            pairs.count(pair)
        return values(header, name)

    seams.COOKIE_VALUES.plant(monkeypatch, slow)


def looks_only_at_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie after a hundred others is not found."""
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: values(";".join(header.split(";")[:100]), name))


def adopts_the_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new session uses the id that the client chose."""
    seams.TOKEN_OF_NEW_SESSION.plant(monkeypatch, lambda: STRANGER)


def handles_are_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handle opens its session, like its token."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.IS_TOKEN.plant(monkeypatch, lambda text: len(text) == 64 or is_token(text))
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token if len(token) == 64 else key_of(self, token))


# --- C: the value -----------------------------------------------------------------------------------------------------


def victim(web: Web) -> str:
    """Sign a victim in, and return the token."""
    web.put(user="victim")
    assert send(web, f"session={web.token()}").text == "victim", "the harness is alive"
    return web.token() or ""


@requirement(
    "Catalogue C1",
    says="An absent or empty cookie is not a bad cookie: no signal, no lookup, no deletion.",
    mutants=[empty_is_malformed, empty_is_a_token],
)
@pytest.mark.kinds("memory")
def test_no_cookie_is_nothing_to_tell(place: str, web_on: WebOn) -> None:
    """An absent or empty cookie, in every spelling: no signal, no call, no cookie; a write creates an id."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for header in ("", "session", "session=", "session= ", "session=;", "session=; session=", "; ;", "theme=dark"):
        for _ in range(2):
            assert_header_nobody(web, header, None)
        assert_fresh_id(web, header)
    assert_header_nobody(web, 'session=""', "malformed")


def damaged(value: str) -> Iterator[str]:
    """Yield *value* cut short at every length, with each character deleted, doubled, and swapped with the next."""
    for at in range(len(value)):
        yield value[:at]
        yield value[:at] + value[at + 1 :]
        yield value[:at] + value[at] + value[at:]
        yield value[:at] + value[at + 1 : at + 2] + value[at] + value[at + 2 :]


def bits(value: str) -> Iterator[str]:
    """Yield *value* with each of its bits changed, as far as that leaves ASCII."""
    for at, letter in enumerate(value):
        yield from (value[:at] + chr(ord(letter) ^ 1 << bit) + value[at + 1 :] for bit in range(7))


def refused(values: Iterator[str], good: str) -> list[str]:
    """Return those of *values* that are somebody else's cookie, alone in a header."""
    return [value for value in values if value not in ("", good) and not value.startswith(good) and ";" not in value]


@requirement(
    "Catalogue C2",
    says="No truncation, deletion, insertion or transposition of a token leads to its session.",
    mutants=[short_keys, any_shape, order_does_not_count],
)
@requirement(
    "Catalogue C3",
    says="No token that differs in a bit from another leads to its session.",
    mutants=[short_keys, order_does_not_count],
)
def test_a_damaged_token_is_another(place: str, web_on: WebOn) -> None:
    """On every store: a value without the form of a token costs no call, one with it one load, and opens no session."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    shaped = 0
    for value in refused(damaged(token), token):
        shaped += is_token(value)
        assert_nobody(web, value, "unknown_id" if is_token(value) else "malformed")
    for number, value in enumerate(refused(bits(token), token)):
        if value == value.strip() and (number % 8 == 0 or not is_token(value)):
            assert_nobody(web, value, "unknown_id" if is_token(value) else "malformed")
    assert shaped > 20
    assert_fresh_id(web, f"session={token[:-1]}")
    assert send(web, f"session={token}").text == "victim"


@requirement(
    "Catalogue C2",
    says="No truncation, deletion, insertion or transposition of a signed token is looked up.",
    mutants=[half_a_signature, looks_up_first],
)
@requirement(
    "Catalogue C3",
    says="No changed, exchanged or empty signature is accepted, and none costs a store call.",
    mutants=[half_a_signature, zeros_are_good, looks_up_first],
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
    exchanged = [f"{token}.{others_tag}", f"{others_token}.{tag}", f"{token}.", f"{token}.{'A' * len(tag)}", token]
    for bad in [*refused(damaged(value), value), *refused(bits(value), value), *exchanged]:
        if bad.strip() == bad:
            reason = "bad_signature" if is_token(bad.partition(".")[0]) else "malformed"
            assert_nobody(web, bad, reason, loads=0)


def foreign(token: str) -> dict[str, str]:
    """Return cookies of other makers, and what other keys, salts and purposes make of *token*."""
    app = Flask("other")
    app.secret_key = KEY
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None

    def signed(key: str, salt: str | bytes) -> str:
        return Signer(key, salt=salt, key_derivation="hmac").sign(token).decode()

    return {
        "Flask": serializer.dumps({"user": "victim"}),
        "Flask-Session": signed(KEY, "flask-session"),
        "Flask-Session, unsigned": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "Django": "abcdefghijklmnopqrstuvwxyz012345",
        "another key": signed("k9-" + KEY, SALT),
        "a retired key": signed(OLD, SALT),
        "another namespace": signed(KEY, signing_salt("other:", "session")),
        "another cookie": signed(KEY, signing_salt("session:", "sid")),
        "another purpose": signed(KEY, "password-reset"),
        "with a time": TimestampSigner(KEY, salt=SALT, key_derivation="hmac").sign(token).decode(),
    }


@requirement(
    "Catalogue C5",
    says="Cookies of other makers, keys and purposes open no session; a fallback key's do, and are signed again.",
    mutants=[any_key_will_do, never_signs_again],
)
@pytest.mark.kinds("memory")
def test_cookies_of_other_makers_open_nothing(place: str, web_on: WebOn) -> None:
    """A signature for another purpose, or by an unknown key, is anonymous without a store call."""
    web = web_on(place, **SIGNED)
    token = victim(web)[:43]
    for name, value in foreign(token).items():
        expected = "bad_signature" if is_token(value.partition(".")[0]) else "malformed"
        assert_nobody(web, value, expected, loads=0)
        if "Flask" in name:
            assert_fresh_id(web, f"session={value}")
    web.app.config["SECRET_KEY_FALLBACKS"] = [OLD]
    fallback = foreign(token)["a retired key"]
    response = send(web, f"session={fallback}")
    assert response.text == "victim"
    assert [each.partition(";")[0] for each in cookies_set(response)] == [f"session={web.token()}"]
    web.app.config["SECRET_KEY_FALLBACKS"] = []
    assert_nobody(web, fallback, "bad_signature", loads=0)


@requirement(
    "Catalogue C5",
    says="A token of another application on the same store opens no session.",
    mutants=[no_namespace],
)
def test_a_token_of_another_application_opens_nothing(place: str, web_on: WebOn) -> None:
    """On one store with two prefixes, each application rejects the other's token as unknown and does not change it."""
    web = web_on(place, SESSION_KEY_PREFIX="shop:", PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    other = web_on(lambda _: web.memory, SESSION_KEY_PREFIX="blog:", PROPAGATE_EXCEPTIONS=False)
    assert_nobody(other, token, "unknown_id", loads=1)
    assert_fresh_id(other, f"session={token}")
    assert send(web, f"session={token}").text == "victim"


PAYLOADS: list[Any] = [None, [], "s", 1, {}, {"user": "victim"}, {"user": ["victim"]}, {"_id": 1, "version": 9}]


@requirement(
    "Catalogue C6",
    says="A well-signed value that is not a token is refused like any other.",
    mutants=[trusts_what_is_signed],
)
@pytest.mark.kinds("memory")
def test_a_good_signature_makes_no_token(place: str, web_on: WebOn) -> None:
    """Our key and salt around null, a list, text, a number, objects, doubled keys or more: anonymous, no call."""
    web = web_on(place, **SIGNED)
    token = victim(web)[:43]
    texts = [json.dumps(payload) for payload in PAYLOADS]
    texts += ["", '{"a":1,"a":2}', '{"a":1}x', f"{token}x", f"x{token}", f"{token}{token}", f'"{token}"', "\x01" * 43]
    for text in texts:
        value = Signer(KEY, salt=SALT, key_derivation="hmac").sign(text.replace(";", "")).decode()
        assert_nobody(web, value, "malformed", loads=0)
    twice = Signer(KEY, salt=SALT, key_derivation="hmac").sign(f"{token}.x").decode()
    assert_nobody(web, twice, "bad_signature", loads=0)


@requirement(
    "Catalogue C6",
    says="A value sealed with our key that is not a session is refused like any other.",
    mutants=[trusts_what_is_sealed],
)
def test_a_good_seal_makes_no_session(web_on: WebOn) -> None:
    """In a cookie that holds the session, other content sealed with our key is anonymous, without an error."""
    key = bytes(range(32))
    web = web_on("memory://", SESSION_STORE="cookie://", SESSION_SEAL_KEYS=[key], PROPAGATE_EXCEPTIONS=False)
    now = web.clock()
    whole = cookie._FIELDS.pack(now + 10**9, now, b"i" * 43, bytes(32))
    body = encode(Envelope(now, now, 10**9, MSGPACK.dumps({"user": "victim"})))
    payloads = [encode(Envelope(now, now, 10**9, MSGPACK.dumps({"": each})[2:])) for each in PAYLOADS[:4]]
    inside = [b"", b"\x00", whole[:-1], whole, whole + b"\x7f" + body[1:], whole + body[:9], whole + body + b"\x00"]
    inside += [whole.replace(b"i" * 43, b"\xff" * 43) + body, b"null", b"[]", *(whole + each for each in payloads)]
    assert send(web, f"session={sealed(key, whole + body)}").text == "victim", "the harness is alive"
    for each in inside:
        response = send(web, f"session={sealed(key, each)}")
        assert (response.status_code, response.text, cookies_set(response)) == (200, "None", []), each


def sealed(key: bytes, inside: bytes) -> str:
    """Return a cookie of ours around *inside*."""
    keyring = Keyring([key])
    header = cookie._HEADER.pack(1, keyring.newest, bytes(16))
    purpose = labelled(b"holdfast cookie", b"session:", b"session")
    cipher = AesGcm(keyring[keyring.newest], labelled(purpose, bytes(16)))
    return cookie._text(header + cipher.encrypt(inside, header))


@requirement(
    "Catalogue C7",
    says="A value of more than 4096 bytes is refused by its length, before any computation.",
    mutants=[length_comes_last, copies_what_is_long],
)
@pytest.mark.kinds("memory")
def test_a_huge_value_is_refused_by_its_length(place: str, web_on: WebOn) -> None:
    """From 4 KB to 16 MB, signed or not: too long, no store call, memory and time proportional to the size."""
    for config in ({}, SIGNED):
        web = web_on(place, **{"PROPAGATE_EXCEPTIONS": False, **config})
        token = victim(web)
        for size in (4 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20):
            header = b"session=" + token.encode() + b"A" * size
            start = time.process_time()
            assert_header_nobody(web, header, "too_long")
            assert time.process_time() - start < 0.1 + size * 1e-7
        tracemalloc.start()
        try:
            assert_header_nobody(web, b"session=" + b"A" * (1 << 20), "too_long")
            assert tracemalloc.get_traced_memory()[1] < 6 << 20  # the request itself holds the header three times
        finally:
            tracemalloc.stop()


NOT_ASCII = [
    "zürich".encode(), b"z\xfcrich", b"\xff\xfe\xc3", b"\xc0\xaf\xe0\x80\xaf", b"\xed\xa0\x80", "\u202eabc".encode(),
    "\u00e9".encode(), "e\u0301".encode(), "\u212a".encode(), "\uff11\uff12".encode(), "🍪".encode(),
    "\u2028".encode(), b"\x80", b"\xa0",
]  # fmt: skip


@requirement(
    "Catalogue C8",
    says="A value with characters beyond ASCII is refused before a lookup, and locks no user out.",
    mutants=[recodes, any_shape],
)
@pytest.mark.kinds("memory")
def test_what_is_not_ascii_is_no_token(place: str, web_on: WebOn) -> None:
    """Valid and invalid UTF-8 alone, before, in and after a token is refused; in another cookie it has no effect."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web).encode()
    for piece in NOT_ASCII:
        for value in (piece, piece + token, token + piece, token[:20] + piece + token[20:], token[:40] + piece):
            assert_nobody(web, value, "malformed", loads=0)
        assert_fresh_id(web, b"session=" + piece)
        assert send(web, b"other=" + piece + b"; session=" + token).text == "victim"


@requirement(
    "Catalogue C9",
    says="A value with control characters, quotes, backslashes or escapes is anonymous, and reaches no header.",
    mutants=[unescapes, any_shape],
)
@pytest.mark.kinds("memory")
def test_what_is_no_character_of_a_token_is_refused(place: str, web_on: WebOn) -> None:
    """Each of them in the first, a middle and the last position, and line breaks followed by headers."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web).encode()
    values = [b'"' + token + b'"', b'"' + b"".join(b"\\%03o" % byte for byte in token) + b'"', b"\\" + token]
    values += [token + b"\r\nSet-Cookie: a=b", b"x\r\nX-Evil: 1", b"x\n\n<html>", token + b",", token[:20] + b" x"]
    for byte in (*range(0x20), 0x7F, *b'\\",'):
        piece = bytes([byte])
        values += [token[:20] + piece + token[21:], token[:20] + piece + token[20:]]
        if piece not in b" \t":  # a blank around a value is no part of it
            values += [piece + token[1:], piece + token, token[:-1] + piece, token + piece]
    for value in values:
        assert_nobody(web, value, "malformed", loads=0)
        if b"\n" in value:
            response = send(web, b"session=" + value, lambda: session.update(a=1))
            assert not {"X-Evil"} & set(response.headers.keys())
            assert len(response.headers.getlist("Set-Cookie")) == 1


# --- D: several cookies -----------------------------------------------------------------------------------------------


@requirement(
    "Catalogue D1",
    says="Two different values are refused, in any order; the same value twice is that value.",
    mutants=[takes_the_first, takes_the_good_one, refuses_every_repetition],
)
@pytest.mark.kinds("memory")
def test_two_values_are_none(place: str, web_on: WebOn) -> None:
    """A valid one with junk, an empty, an unknown or another valid one is ambiguous: reported, and not looked up."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    other = web.token(signed_in(web, "eve"))
    for second in ("junk", "", STRANGER, "x" * 5000, f'"{token}"', token[:-1], str(other)):
        for between in ("; ", ";", "; theme=dark; "):
            for header in (f"session={token}{between}session={second}", f"session={second}{between}session={token}"):
                assert_header_nobody(web, header, "ambiguous_cookie")
    assert_fresh_id(web, f"session={token}; session={other}")
    for header in (f"session={token}; session={token}", f"session={token};a=b;session={token};session={token}"):
        assert send(web, header).text == "victim"


@requirement(
    "Catalogue D2",
    says="A sibling site that sets a session of its own beside the victim's cannot make a user act in it.",
    mutants=[takes_the_first, takes_the_good_one],
)
def test_a_tossed_cookie_makes_nobody_act_for_another(place: str, web_on: WebOn) -> None:
    """On every store: with an attacker's cookie beside the victim's, in any order, neither is read or changed."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    eve = web.app.test_client()
    web.put(eve, user="eve")
    for header in (f"session={token}; session={web.token(eve)}", f"session={web.token(eve)}; session={token}"):
        assert_header_nobody(web, header, "ambiguous_cookie")
        assert_fresh_id(web, header)
        for view in (end, rotate, lambda: session.update(card="4111")):
            send(web, header, view)
    assert web.data(eve) == {"user": "eve"}
    assert send(web, f"session={token}", lambda: str(dict(session))).text == "{'user': 'victim'}"


@requirement(
    "Catalogue D3",
    says="Any number of cookies is parsed in linear time, and ours is found among them.",
    mutants=[compares_each_with_each, looks_only_at_the_beginning],
)
@pytest.mark.kinds("memory")
def test_ours_is_found_among_any_number(place: str, web_on: WebOn) -> None:
    """After, before and among 100, 3,000 and 100,000 cookies, and in headers of punctuation only, in linear time."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    for count in (100, 3000, 100_000):
        many = "; ".join(f"c{number}=v" for number in range(count))
        for header in (f"session={token}; {many}", f"{many}; session={token}", f"{many}; session={token}; {many}"):
            start = time.process_time()
            assert send(web, header).text == "victim"
            assert time.process_time() - start < 0.2 + 4e-6 * count
    for header in (";" * 65536, 'x="' + "\\" * 65536, '"' * 65536, "=" * 65536, "session=; " * 6000, " " * 65536):
        start = time.process_time()
        assert_header_nobody(web, header, None)
        assert time.process_time() - start < 0.3


# --- R, A: names in Redis, guesses ------------------------------------------------------------------------------------


@requirement(
    "Catalogue R",
    says="No cookie is a command, a pattern or a slot of Redis.",
    mutants=[any_shape, keys_are_tokens],
)
@pytest.mark.kinds("redis")
def test_no_cookie_speaks_to_redis(place: str, web_on: WebOn) -> None:
    """Commands, globs and hash tags in the cookie: no command is sent to the server, and a key is 64 hex digits."""
    import redis

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    aimed = ["x\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "*", "?" * 43, "[a-z]*", "{tag}", "{" + token[:41] + "}",
             "session:*", f"holdfast:{token}", "\x00", "EVAL", "-1", ":1\r\n"]  # fmt: skip
    prefix = place.partition("?prefix=")[2]
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        for value in aimed:
            with counted(client) as counts:
                assert_nobody(web, value, "malformed", loads=0)
            assert not {"get", "evalsha", "eval", "set", "flushall", "keys", "scan"} & counts.keys(), value
        names = [name.decode().removeprefix(prefix) for name in client.scan_iter(f"{prefix}*")]
    assert names
    assert all(re.fullmatch(r"[0-9a-f]{64}", name) for name in names)


@requirement(
    "Catalogue A",
    says="A guess opens no session and creates no record; the store and lists show no token.",
    mutants=[adopts_the_guess, handles_are_tokens, keys_are_tokens, any_shape],
)
def test_guesses_lead_nowhere(place: str, web_on: WebOn) -> None:
    """On every store, well-formed guesses, one from many addresses, and the handle in many forms, are anonymous."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    handle = web.see(lambda: session.handle)
    for _ in range(60):
        assert_nobody(web, new_token(), "unknown_id")
    web.take_heard()
    for number in range(20):
        response = send(web, f"session={STRANGER}", REMOTE_ADDR=f"10.0.{number}.1")
        assert (response.status_code, response.text, cookies_set(response)) == (200, "None", [])
    assert web.reasons() == ["unknown_id"] * 20
    assert_fresh_id(web, f"session={STRANGER}")
    digest = Keys("session:").key_of(token)
    for value in {handle, digest, handle.upper(), f"session:{handle}", f"holdfast:{handle}"}:
        assert_nobody(web, value, "malformed", loads=0)
    for value in (handle[:43], handle[21:], handle[:42] + "A"):
        assert_nobody(web, value, "unknown_id" if is_token(value) else "malformed")
    assert send(web, f"session={token}", user).text == "victim"
