"""Cookies that open no session: values, names and headers, each in one table. *token* is a victim's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer
from support.web import STRANGER

from holdfast.flask.cookies import signing_salt
from holdfast.records import cookie
from holdfast.records.codec import MSGPACK
from holdfast.records.encryption import AesGcm, Keyring
from holdfast.records.envelope import Envelope, encode
from holdfast.records.tokens import base64url, labelled

KEY = "k1-" + "Xq7vN2mR9tB4wL6z" * 2
OLD = "k0-" + "pD8sF3hJ5kC1gV0y" * 2
SALT = signing_salt("session:", "session")

#: A token of the right form that was never issued, unlike `STRANGER` with every kind of letter.
UNKNOWN = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq8w"

# --- values -----------------------------------------------------------------------------------------------------------

#: Headers without a value of ours.
EMPTY = ["", "session", "session=", "session= ", "session=;", "session=; session=", "; ;", "theme=dark"]

#: Values that were never a token, and ones that were never issued.
MADE_UP = ["junk", "x" * 4000, STRANGER, UNKNOWN, "0123456789abcdef" * 2, "0123456789abcdef" * 4]

#: How many letters too long values have.
SIZES = (4 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20)

NOT_ASCII = [
    "zürich".encode(), b"z\xfcrich", b"\xff\xfe\xc3", b"\xc0\xaf\xe0\x80\xaf", b"\xed\xa0\x80", "\u202eabc".encode(),
    "\u00e9".encode(), "e\u0301".encode(), "\u212a".encode(), "\uff11\uff12".encode(), "🍪".encode(),
    "\u2028".encode(), b"\x80", b"\xa0",
]  # fmt: skip

#: Other spellings of a token, some of which mean the same to what decodes or normalizes them.
SPELLINGS: dict[str, Callable[[str], str | bytes]] = {
    "padded": lambda t: t + "=",
    "padded twice": lambda t: t + "==",
    "padding escaped": lambda t: t + "%3D",
    "a dot behind": lambda t: t + ".",
    "a no-break space behind": lambda t: t.encode() + b"\xa0",
    "a no-break space behind, in UTF-8": lambda t: t + "\xa0",
    "a line behind": lambda t: t + "\x0b",
    "a line break behind": lambda t: t + "\n",
    "the first letter escaped": lambda t: f"%{ord(t[0]):02X}{t[1:]}",
    "upper case": str.upper,
    "lower case": str.lower,
    "the other case": str.swapcase,
    "lower case but for the last letter": lambda t: t[:-1].lower() + t[-1],
    "the other alphabet": lambda t: t.replace("-", "+").replace("_", "/") + "+",
    "a byte order mark": lambda t: "\ufeff" + t,
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) for c in t),
    "a Kelvin sign for each K": lambda t: t.replace("K", "\u212a").replace("k", "\u212a"),
    "a long s for each s": lambda t: t.replace("s", "\u017f"),
    "superscript digits": lambda t: t.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")),
    "an accent behind": lambda t: t + "\u0301",
    "another end": lambda t: t[:-1] + ("A" if t[-1] != "A" else "E"),
    "the first half": lambda t: t[:22] + "A" * 21,
    "spare bits, 1": lambda t: _next_letter(t, 1),
    "spare bits, 2": lambda t: _next_letter(t, 2),
    "spare bits, 3": lambda t: _next_letter(t, 3),
    "quoted": lambda t: f'"{t}"',
    "escaped": lambda t: f'"\\{t}"',
    "octal escapes": lambda t: '"' + "".join(f"\\{ord(c):03o}" for c in t) + '"',
}


def _next_letter(token: str, step: int) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + step]


def with_bytes_of_no_token(token: bytes) -> Iterator[bytes]:
    """Yield *token* with a control character, quote, backslash or comma at its ends and inside, and line breaks."""
    yield from (b'"' + token + b'"', b'"' + b"".join(b"\\%03o" % byte for byte in token) + b'"', b"\\" + token)
    yield from (token + b",", token[:20] + b" x", token + b"\r\nSet-Cookie: a=b")
    yield from (b"x\r\nSet-Cookie: a=b", b"x\r\nX-Evil: 1", b"x\nX-Evil: 1", b"x\n\n<html>", b"x\r\n\r\n<html>")
    for byte in (*range(0x20), 0x7F, *b'\\",'):
        piece = bytes([byte])
        yield from (piece + token[1:], token[:20] + piece + token[21:], token[:20] + piece + token[20:])
        yield token[:-1] + piece
        if piece not in b" \t":  # a blank around a value is no part of it
            yield from (piece + token, token + piece)


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
        "Flask, around the token": serializer.dumps(token),
        "Flask-Session": signed(KEY, "flask-session"),
        "Flask-Session, unsigned": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "Django": "abcdefghijklmnopqrstuvwxyz012345",
        "another key": signed("k9-" + KEY, SALT),
        "a retired key": signed(OLD, SALT),
        "another namespace": signed(KEY, signing_salt("other:", "session")),
        "another cookie": signed(KEY, signing_salt("session:", "sid")),
        "another purpose": signed(KEY, "password-reset"),
        "no purpose": Signer(KEY).sign(token).decode(),
        "a reset token": URLSafeTimedSerializer(KEY, salt="password-reset").dumps(token),
        "a CSRF token": URLSafeTimedSerializer(KEY, salt="wtf-csrf-token").dumps(token),
        "with a time": TimestampSigner(KEY, salt=SALT, key_derivation="hmac").sign(token).decode(),
    }


_PAYLOADS: list[Any] = [None, [], "s", 1, {}, {"user": "victim"}, {"user": ["victim"]}, {"_id": 1, "version": 9}]


def signed_by_us(token: str) -> Iterator[str]:
    """Yield what has our own signature and is no token."""
    texts = [json.dumps(payload) for payload in _PAYLOADS]
    texts += ["", '{"a":1,"a":2}', '{"a":1}x', f"{token}x", f"x{token}", f"{token}{token}", f'"{token}"', "\x01" * 43]
    for text in texts:
        yield Signer(KEY, salt=SALT, key_derivation="hmac").sign(text.replace(";", "")).decode()


def whole_session(now: int) -> bytes:
    """Return what is sealed in a cookie that holds a victim's session."""
    fields = cookie._FIELDS.pack(now + 10**9, now, b"i" * 43, bytes(32))
    return fields + encode(Envelope(now, now, 10**9, MSGPACK.dumps({"user": "victim"})))


def sealed_by_us(now: int) -> list[bytes]:
    """Return what is sealed in a cookie of ours and is no session."""
    session = whole_session(now)
    fields, body = session[: cookie._FIELDS.size], session[cookie._FIELDS.size :]
    payloads = [encode(Envelope(now, now, 10**9, MSGPACK.dumps({"": each})[2:])) for each in _PAYLOADS[:4]]
    return [
        b"", b"\x00", fields[:-1], fields, fields + b"\x7f" + body[1:], fields + body[:9], session + b"\x00",
        session.replace(b"i" * 43, b"\xff" * 43), b"null", b"[]", *(fields + each for each in payloads),
    ]  # fmt: skip


def seal(key: bytes, inside: bytes) -> str:
    """Return a cookie of ours around *inside*."""
    keyring = Keyring([key])
    header = cookie._HEADER.pack(1, keyring.newest, bytes(16))
    purpose = labelled(b"holdfast cookie", b"session:", b"session")
    cipher = AesGcm(keyring[keyring.newest], labelled(purpose, bytes(16)))
    return base64url(header + cipher.encrypt(inside, header))


# --- values that are aimed at a store ---------------------------------------------------------------------------------

#: By the kind of store.
AIMED: dict[str, list[str]] = {
    "files": [
        "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", "\\\\host\\x", "//", ".", "..", "CON",
        "NUL.txt", "COM¹", "x.", "x ", "x" * 300, "%2e%2e%2fpasswd", "~", "x\x00.json", "a/" * 21 + "a", "." * 43,
    ],
    "memcached": [
        "a\r\nflush_all\r\n", "a 0 0 1\r\nx\r\nflush_all", "a\nflush_all\n", "k" * 249, "k" * 250, "k" * 251, "a b",
        "a\x00b", "\x7f" * 43, "z\u00fcrich", "a\r\nset victim 0 0 1\r\nx", "\r\n",
    ],
    "mongodb": [
        "%7B%22$ne%22:null%7D", "%7B%22$gt%22:%22%22%7D", "%7B%22$regex%22:%22.*%22%7D", '{"$ne":null}', '{"$gt":""}',
        '{"$regex":".*"}', '{"$where":"1"}', '{"$in":[null]}', "[$ne]=x", "$where", ".*", "{" * 1000,
        "'; return true; '", '{"a":' * 300 + "1" + "}" * 300,
    ],
    "sql": [
        "' OR 1=1--", "' OR '1'='1", "x' UNION SELECT data, version, expires_at, owner FROM sessions--",
        "\\' OR 1=1#", "\\'", "%", "_" * 42, "_" * 64, "'; DROP TABLE sessions; --",
        "'; DROP TABLE holdfast_sessions; --", "\u02bc OR 1=1", "9" * 100_000, "9" * 1_000_000, "x' OR key > '",
    ],
    "redis": [
        "x\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "*", "?" * 43, "[a-z]*", "{tag}", "session:*", "\x00",
        "EVAL", "-1", ":1\r\n",
    ],
}  # fmt: skip

# --- names ------------------------------------------------------------------------------------------------------------

#: Names that are not ours, with a token in place of the braces.
NAMES = [
    "Session={}", "SESSION={}", "session ={}x", "=session={}", "$session={}", "sess%69on={}", "%73ession={}",
    "session[]={}", "session.x={}", "xsession={}", "session\x00={}", '"session"={}', "session\u0131={}",
    "\u017fession={}", 'x="; session={}; y"', "session:{}", "session,{}", "__Host-session={}", "__Secure-session={}",
]  # fmt: skip

#: Names that a browser lets a script or a sibling site set, and that some servers took for ``__Host-s``.
PREFIXED_NAMES = [
    "%5F%5FHost-s", "_%5FHost-s", "__Host%2Ds", "__Host-%73", "%5f_Host-s", "%5F_Host-s", "__host-s", "__HOST-s",
    "__HOST-S", "__Host-S", "=__Host-s", "; =__Host-s", "==__Host-s", "..Host-s", "._Host-s", " _Host-s", "_ Host-s",
    "[_Host-s", "__Host-s ", "__Host-s\t", "__Host-s\x00", "__Host-s%00", "\x00__Host-s", "\xa0__Host-s",
    "__Host-s\xa0", "__Host-\x01s", "__Host-s[]", "__Host-s.x", "x__Host-s", '"__Host-s"', "$__Host-s", "__Host-s;",
    "__Host_s", "s",
]  # fmt: skip

# --- headers ----------------------------------------------------------------------------------------------------------

#: Ways to stand beside another cookie.
BETWEEN = ("; ", ";", "; theme=dark; ")

#: The text before, after and between which our cookie is found.
CROWDS = {
    "100 cookies": "; ".join(f"c{number}=v" for number in range(100)),
    "3,000 cookies": "; ".join(f"c{number}=v" for number in range(3000)),
    "100,000 cookies": "; ".join(f"c{number}=v" for number in range(100_000)),
    **{f"500 times {filler!r}": filler * 500 for filler in ("x=y; ", ";", 'x="y"; ', " ")},
}


def tedious(size: int) -> dict[str, str]:
    """Return headers of *size* bytes without ours that are made to be slow to read."""
    return {
        "semicolons": ";" * size,
        "backslashes in quotes": 'x="' + "\\" * size,
        "escapes in quotes": 'x="' + '\\"' * (size // 2),
        "octal escapes": 'x="' + "\\101" * (size // 4),
        "quoted pairs": 'x="\\";' * (size // 6),
        "quotes": '"' * size,
        "equals signs": "=" * size,
        "our name": "session=; " * (size // 10),
        "spaces": " " * size,
        "spaces between": "x=y;" + " " * size + "=z",
        "tabs before the name": "\t" * size + "session",
    }
