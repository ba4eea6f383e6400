"""Hostile and broken cookies: no error, no write, no adopted id, and no store call for what cannot be a token.

The letters are those of a catalogue of bad input: C for values, D for duplicates and names, P, K, N, S and R for what
aims at a file system, memcached, MongoDB, SQL or Redis.
"""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import Signer
from support.target import Target
from support.web import SECRET_KEY, STRANGER, Web, cookies_set

from holdfast.flask import session
from holdfast.flask.cookies import signing_salt
from holdfast.records.tokens import Keys, is_token, new_token

SALT = signing_salt("session:", "session")

TOKEN = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq8w"


@pytest.fixture(scope="module")
def target() -> Target:
    """Return an application with one session, which no test here changes."""
    return Target()


@pytest.fixture(scope="module")
def signing() -> Target:
    """Return an application that signs its tokens."""
    return Target(SESSION_USE_SIGNER=True)


def test_the_token_itself_opens_the_session(target: Target, signing: Target) -> None:
    """The harness is alive: what the victim's browser sends is the victim."""
    assert target.send(f"session={target.token}")[1] == "victim"
    assert signing.send(f"session={signing.token}")[1] == "victim"


# --- C: the value ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "session", "session=", 'session=""', "session=;", "session=; session=", "theme=dark"]
)
def test_c1_no_cookie_or_an_empty_one(target: Target, header: str) -> None:
    """An absent or empty cookie is nobody's."""
    target.assert_nobody(header)


def damaged(value: str) -> Iterator[str]:
    """Yield *value* cut short at every length, and with each character deleted, doubled, and swapped with the next."""
    for at in range(len(value)):
        yield value[:at]
        yield value[:at] + value[at + 1 :]
        yield value[:at] + value[at] + value[at:]
        yield value[:at] + value[at + 1 : at + 2] + value[at] + value[at + 2 :]


def changed(value: str) -> Iterator[bytes]:
    """Yield *value* with every bit of every byte changed, and every byte replaced by a few others."""
    raw = value.encode()
    for at, byte in enumerate(raw):
        for other in {*(byte ^ 1 << bit for bit in range(8)), *b"AZaz09-_", 0, 255} - {byte}:
            yield raw[:at] + bytes([other]) + raw[at + 1 :]


def test_c2_damaged_tokens(target: Target, signing: Target) -> None:
    """No truncation, deletion, insertion or transposition of a cookie opens the session."""
    for at in (target, signing):
        for value in damaged(at.token):
            if value != at.token:
                at.assert_nobody(f"session={value}", calls=int(is_token(value)))


def test_c3_changed_tokens(target: Target, signing: Target) -> None:
    """No change of a single bit or byte opens the session; a changed signature costs no store call."""
    for value in changed(target.token):
        target.assert_nobody(b"session=" + value, calls=1)
    for value in changed(signing.token):
        signing.assert_nobody(b"session=" + value)


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda t: t + "=", id="padded"),
        pytest.param(lambda t: t + "==", id="padded twice"),
        pytest.param(lambda t: t + "%3D", id="padding escaped"),
        pytest.param(lambda t: t + ".", id="dot"),
        pytest.param(lambda t: t + "\n", id="newline"),
        pytest.param(lambda t: t + "\x0b", id="vertical tab"),
        pytest.param(lambda t: t + "\xa0", id="no-break space"),
        pytest.param(lambda t: f'"{t}"', id="quoted"),
        pytest.param(lambda t: '"' + "".join(f"\\{ord(c):03o}" for c in t) + '"', id="octal escapes"),
        pytest.param(lambda t: f'"\\{t}"', id="escaped"),
        pytest.param(lambda t: "%" + f"{ord(t[0]):02X}" + t[1:], id="percent"),
        pytest.param(lambda t: t.swapcase(), id="other case"),
        pytest.param(lambda t: t.upper(), id="upper case"),
        pytest.param(lambda t: t.replace("-", "+").replace("_", "/") + "+", id="other alphabet"),
        pytest.param(lambda t: "\ufeff" + t, id="byte order mark"),
        pytest.param(lambda t: "".join(chr(ord(c) + 0xFEE0) for c in t), id="full width"),
    ],
)
def test_c4_other_spellings(target: Target, spell: Any) -> None:
    """A token has one spelling: everything that decodes or normalizes to it is something else."""
    value = spell(target.token)
    target.assert_nobody(f"session={value}", calls=int(is_token(value)))


def test_c4_unused_bits(target: Target) -> None:
    """The last character's spare bits are zero, so no token has a second spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(target.token[-1])
    for spare in (1, 2, 3):
        target.assert_nobody(f"session={target.token[:-1]}{alphabet[last + spare]}")


def test_c5_cookies_of_other_makers(target: Target, signing: Target) -> None:
    """Flask's own session, Flask-Session's and Django's ids, and other keys' signatures open nothing."""
    flask_app = Flask("other")
    flask_app.secret_key = SECRET_KEY
    serializer = SecureCookieSessionInterface().get_signing_serializer(flask_app)
    assert serializer is not None
    foreign = [
        serializer.dumps({"user": "victim"}),
        "0123456789abcdef0123456789abcdef",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        Signer(SECRET_KEY, salt="flask-session", key_derivation="hmac").sign(target.token).decode(),
        Signer("other key", salt=SALT, key_derivation="hmac").sign(target.token).decode(),
    ]
    for value in foreign:
        target.assert_nobody(f"session={value}")
        signing.assert_nobody(f"session={value}")


def test_c5_the_store_s_own_names(target: Target) -> None:
    """The key of a record, as whoever reads the store learns it, is not a token; nor is the handle."""
    key = Keys("session:").key_of(target.token)
    assert key in dict(target.before)
    for value in (key, key[:43], f"session:{key}", f"session:{target.token}"):
        target.assert_nobody(f"session={value}", calls=int(is_token(value)))


@pytest.mark.parametrize("size", [4 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20])
def test_c7_huge_values(target: Target, size: int) -> None:
    """A value of any size is refused in time that grows with its size, unread."""
    start = time.process_time()
    target.assert_nobody("session=" + "A" * size)
    target.assert_nobody("session=" + target.token + "A" * size)
    assert time.process_time() - start < 0.5 + size * 1e-7


NOT_ASCII = {
    "UTF-8": "zürich".encode(),
    "Latin-1": b"z\xfcrich",
    "invalid UTF-8": b"\xff\xfe\xc3",
    "overlong": b"\xc0\xaf\xe0\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "right to left": "\u202eabc".encode(),
    "composed": unicodedata.normalize("NFC", "é").encode(),
    "decomposed": unicodedata.normalize("NFD", "é").encode(),
    "emoji": "🍪".encode(),
    "line separator": "\u2028".encode(),
}


@pytest.mark.parametrize("value", NOT_ASCII.values(), ids=NOT_ASCII)
def test_c8_other_than_ascii(target: Target, value: bytes) -> None:
    """Bytes beyond ASCII, valid UTF-8 or not, are refused unread, alone or beside a token."""
    token = target.token.encode()
    for cookie in (
        value,
        value + token,
        token + value,
        token[:20] + value + token[20:],
        token[: 43 - len(value)] + value,
    ):
        target.assert_nobody(b"session=" + cookie)


@pytest.mark.parametrize("value", NOT_ASCII.values(), ids=NOT_ASCII)
def test_c8_a_stranger_s_bytes_do_not_lock_anybody_out(target: Target, value: bytes) -> None:
    """Whatever another cookie of the same site contains, ours is still read."""
    status, body, _ = target.send(b"other=" + value + b"; session=" + target.token.encode())
    assert (status, body) == (200, "victim")


@pytest.mark.parametrize("byte", [*range(0x20), 0x7F, *b'\\"'])
def test_c9_control_characters(target: Target, byte: int) -> None:
    """A control character, a quote or a backslash anywhere in the value makes it nobody's."""
    token = target.token.encode()
    for value in (bytes([byte]) + token[1:], token[:20] + bytes([byte]) + token[21:], token[:-1] + bytes([byte])):
        target.assert_nobody(b"session=" + value)


def test_c9_header_injection(target: Target) -> None:
    """Line breaks in a cookie put nothing into the response."""
    for value in ("x\r\nSet-Cookie: a=b", "x\nX-Evil: 1", "x\r\n\r\n<html>", f"{TOKEN}\r\nSet-Cookie: a=b"):
        target.assert_nobody(f"session={value}")
        status, _, cookies = target.send(f"session={value}", "/set")
        assert status == 200
        assert len(cookies) == 1
        assert cookies[0].startswith("session=")
        for key in {key for key, _ in target.records()} - {key for key, _ in target.before}:
            target.memory.delete(key)


# --- D: several cookies ----------------------------------------------------------------------------------------------


def test_d1_the_same_value_twice_is_one(target: Target) -> None:
    """A cookie that is sent twice with one value is that value."""
    assert target.send(f"session={target.token}; session={target.token}")[1] == "victim"


@pytest.mark.parametrize("other", ["junk", STRANGER, TOKEN, "", "x" * 5000])
def test_d1_two_values_are_ambiguous(target: Target, other: str) -> None:
    """Of two different values neither is taken, in whatever order they come, whatever stands between."""
    for between in ("; ", ";", "; theme=dark; "):
        target.assert_nobody(f"session={target.token}{between}session={other}")
        target.assert_nobody(f"session={other}{between}session={target.token}")


def test_d2_an_attacker_s_own_session_cannot_be_slipped_in(target: Target) -> None:
    """A sibling site that sets a valid session of its own beside the victim's makes nobody act in it."""
    _, _, [cookie] = target.send("", "/set")
    own = cookie.split("=")[1].split(";")[0]
    target.before = target.records()
    target.assert_nobody(f"session={own}; session={target.token}")
    target.assert_nobody(f"session={target.token}; session={own}")


D3 = {
    "100 cookies": "; ".join(f"c{number}=v" for number in range(100)),
    "3000 cookies": "; ".join(f"c{number}=v" for number in range(3000)),
    "100,000 cookies": "; ".join(f"c{number}=v" for number in range(100_000)),
    "semicolons": ";" * 65536,
    "backslashes in quotes": 'x="' + "\\" * 65536,
    "quotes": '"' * 65536,
    "quoted pairs": 'x="\\";' * 10_000,
    "our name many times": "session=; " * 6000,
    "equals signs": "=" * 65536,
    "spaces": " " * 65536,
}


@pytest.mark.parametrize("header", D3.values(), ids=D3)
def test_d3_pathological_headers(target: Target, header: str) -> None:
    """Headers made to be slow to parse are answered in time that grows with their size."""
    start = time.process_time()
    target.assert_nobody(header)
    assert time.process_time() - start < 0.2 + len(header) * 1e-6


@pytest.mark.parametrize("filler", ["x=y; ", ";", 'x="y"; ', " "])
def test_d3_ours_is_found_among_many(target: Target, filler: str) -> None:
    """Our cookie is read behind and before any number of others."""
    assert target.send(filler * 500 + f"session={target.token}")[1] == "victim"
    assert target.send(f"session={target.token}; " + filler * 500)[1] == "victim"


@pytest.mark.parametrize(
    "header",
    [
        "Session={}", "SESSION={}", "session ={}x", "=session={}", "$session={}", "sess%69on={}", "%73ession={}",
        "session[]={}", "session.x={}", "xsession={}", "session\x00={}", '"session"={}', "session\u0131={}",
        "\u017fession={}", 'x="; session={}; y"', "session:{}", "session,{}",
        "__Host-session={}", "__Secure-session={}",
    ],
)  # fmt: skip
def test_d4_names_that_look_like_ours(target: Target, header: str) -> None:
    """A name with another case, spelling, prefix or quoting is not our cookie."""
    target.assert_nobody(header.format(target.token))


@pytest.mark.parametrize("name", ["__host-s", "__HOST-s", "%5F_Host-s", "_%5FHost-s", "=__Host-s", "__Host-s%00", "s"])
def test_d4_a_prefix_cannot_be_forged(name: str) -> None:
    """Only the exact name of a ``__Host-`` cookie is read, which browsers set on secure connections alone."""
    prefixed = Target()
    prefixed.app.config.update(SESSION_COOKIE_NAME="__Host-s", SESSION_COOKIE_SECURE=True)
    assert prefixed.send(f"__Host-s={prefixed.token}")[1] == "victim"
    prefixed.assert_nobody(f"{name}={prefixed.token}")


def test_d4_a_version_is_ignored(target: Target) -> None:
    """The ``$Version`` of an obsolete standard is a cookie like any other."""
    assert target.send(f"$Version=1; session={target.token}; $Path=/")[1] == "victim"


# --- P, K, N, S, R: what is aimed at a store -------------------------------------------------------------------------

AIMED = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", "\\\\host\\x", "//", ".", "..", "CON", "NUL.txt",
    "COM¹", "x.", "x ", "x" * 300, "%2e%2e%2fpasswd", "~", "x\x00.json", "a/" * 21 + "a", "." * 43,
    "k" * 249, "k" * 250, "k" * 251, "a b", "a\r\nflush_all\r\n", "\x7f" * 43,
    '{"$ne":null}', '{"$gt":""}', "[$ne]=x", "$where", ".*", "{" * 1000,
    "' OR 1=1--", "'; DROP TABLE sessions; --", "\\'", "%", "_" * 42, "\u02bc OR 1=1", "9" * 1_000_000,
    "x\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "*", "{tag}", "session:*",
]  # fmt: skip


@pytest.mark.parametrize("value", AIMED, ids=[repr(value[:20]) for value in AIMED])
def test_values_aimed_at_a_store_never_reach_one(target: Target, value: str) -> None:
    """Paths, commands, operators, quotes and globs are refused by their shape, with no store call."""
    target.assert_nobody(f"session={value}", calls=int(is_token(value)))


def test_s_a_token_keeps_its_case(target: Target) -> None:
    """Tokens that differ in case only are different tokens."""
    other = "".join(c.lower() if c.isupper() else c for c in target.token[:-1]) + target.token[-1]
    target.assert_nobody(f"session={other}", calls=1)


# --- A: guessing -----------------------------------------------------------------------------------------------------


def test_a_well_formed_guesses_are_never_adopted(target: Target) -> None:
    """Made-up tokens cost one load each, leave no record, and what is then stored gets another id."""
    for _ in range(300):
        target.assert_nobody(f"session={new_token()}", calls=1)
    guess = new_token()
    _, _, [cookie] = target.send(f"session={guess}", "/set")
    assert guess not in cookie
    assert Keys("session:").key_of(guess) not in dict(target.records())
    target.before = target.records()


# --- anything --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_at_all(target: Target, raw: bytes) -> None:
    """Whatever bytes come as the cookie, and as the header, the answer is the view's own to nobody."""
    target.assert_nobody(b"session=" + raw, calls=1)
    target.assert_nobody(raw, calls=1)


@given(st.integers(0, 43), st.sampled_from(["x", "\n", "%", ";", '"', "é", "\x00", "="]), st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_almost_the_token(target: Target, at: int, piece: str, quoted: bool) -> None:
    """The victim's token with anything put in at any place is nobody's, unless it ends where the token does."""
    value = target.token[:at] + piece + target.token[at:]
    header = f'session="{value}"' if quoted else f"session={value}"
    if piece == ";" and at == 43 and not quoted:
        assert target.send(header)[1] == "victim"
    else:
        target.assert_nobody(header, calls=1)


def test_a_bad_cookie_is_replaced_at_the_first_write(web: Web) -> None:
    """A browser with a broken cookie gets a good one as soon as there is something to keep."""
    for bad in ("junk", "x" * 4000, STRANGER, secrets.token_hex(32)):
        response = web.send(f"session={bad}", lambda: session.update(a=1))
        assert response.status_code == 200
        [cookie] = cookies_set(response)
        assert bad not in cookie
