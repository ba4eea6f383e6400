"""The Cookie header: only the exact name is ours, only the exact spelling a token, and no header takes long to read."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from security import planted_cookie_parsing as planted
from security.rows import advisory, requirement
from support.web import Web, cookies_set

from holdfast.flask import session
from holdfast.records.tokens import is_token

WebOn = Callable[..., Web]


def seen(web: Web, header: bytes) -> str:
    """Return whom a request with the Cookie *header*, as it is, is taken for. It must not fail and not set a cookie."""
    raw = {"HTTP_COOKIE": header.decode("latin-1")}
    response = web.do(lambda: str(session.get("user")), web.app.test_client(use_cookies=False), environ_overrides=raw)
    assert response.status_code == 200
    assert not cookies_set(response, web.app.config["SESSION_COOKIE_NAME"])
    return response.text


@pytest.fixture
def victim(place: str, web_on: WebOn) -> Web:
    """Return an application with a ``__Host-`` cookie, and a session of its browser."""
    web = web_on(place, SESSION_COOKIE_NAME="__Host-s", SESSION_COOKIE_SECURE=True, PROPAGATE_EXCEPTIONS=False)
    web.do(lambda: session.update(user="victim"), base_url="https://localhost")
    return web


def token_of(web: Web) -> str:
    """Return the token of the browser's session."""
    cookie = web.browser.get_cookie(web.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    return cookie.value


#: What a browser lets a script or a sibling site set, and some servers took for the name ``__Host-s``.
_LOOK_ALIKES = [
    "%5F%5FHost-s", "_%5FHost-s", "__Host%2Ds", "__Host-%73", "%5f_Host-s", "__host-s", "__HOST-S", "__Host-S",
    "=__Host-s", "; =__Host-s", "==__Host-s", "..Host-s", "._Host-s", " _Host-s", "_ Host-s", "[_Host-s",
    "__Host-s ", "__Host-s\t", "__Host-s\x00", "\x00__Host-s", "\xa0__Host-s", "__Host-s\xa0", "__Host-\x01s",
    "__Host-s[]", "__Host-s.x", "x__Host-s", '"__Host-s"', "$__Host-s", "__Host-s;", "__Host_s",
]  # fmt: skip


@advisory(
    "CVE-2020-8184",
    "CVE-2021-41819",
    "CVE-2020-7070",
    "CVE-2022-36032",
    product="rack, Ruby's cgi, PHP, ReactPHP",
    cause="The names of cookies were percent-decoded, so that a cookie of another site could pose as a prefixed one.",
    mutants=[planted.decodes_names, planted.ignores_case],
)
@advisory(
    "CVE-2022-31629",
    product="PHP",
    cause="Dots, spaces and brackets in a name became underscores, which are part of the prefixes.",
    mutants=[planted.mangles_names],
)
@advisory(
    "CVE-2023-23934",
    product="Werkzeug",
    cause="A cookie without a name was parsed as one whose name and value were in its value.",
    mutants=[planted.reads_nameless_cookies, planted.strips_names],
)
@requirement(
    "RFC 6265bis 4.1.3",
    says="Only the exact name of a prefixed cookie is accepted.",
    mutants=[
        planted.decodes_names,
        planted.ignores_case,
        planted.mangles_names,
        planted.reads_nameless_cookies,
        planted.strips_names,
    ],
)
@requirement(
    "Catalogue D4",
    says="A name with another case, spelling, prefix or quoting is not our cookie.",
    mutants=[
        planted.decodes_names,
        planted.ignores_case,
        planted.mangles_names,
        planted.reads_nameless_cookies,
        planted.strips_names,
    ],
)
@pytest.mark.kinds("memory")
def test_no_other_name_is_taken_for_ours(victim: Web) -> None:
    """The victim's token under any name similar to a prefixed one opens no session; under its own it does."""
    token = token_of(victim).encode()
    for name in _LOOK_ALIKES:
        assert seen(victim, name.encode("latin-1") + b"=" + token) == "None", name
    assert seen(victim, b"__Host-s=" + token) == "victim"


@advisory(
    "CVE-2023-26049",
    product="Jetty",
    cause="A quoted value extended over the next cookies, so that they could be hidden, or read from inside it.",
    mutants=[planted.reads_inside_of_quotes, planted.takes_the_first],
)
@pytest.mark.kinds("memory")
def test_a_cookie_is_not_read_from_inside_of_another(victim: Web) -> None:
    """A value inside another cookie's quotes is not ours, and two different values are refused."""
    token = token_of(victim).encode()
    ours = b"__Host-s=" + token
    for header in (b'x="; %b; y"', b'x="\\"; %b"', b'x="a;%b;"'):
        assert seen(victim, header % ours) == "None", header
    for header in (b"%b; __Host-s=" + b"A" * 43, b"__Host-s=x; %b", b'__Host-s="x; %b', b'__Host-s="; %b"'):
        assert seen(victim, header % ours) == "None", header
    for header in (b'x="a b"; %b', b'x="a; %b', b"x=a; %b; y=b", b"%b", b'%b; x="y"', b'"; %b; "'):
        assert seen(victim, header % ours) == "victim", header


def _headers(size: int) -> dict[str, str]:
    return {
        "backslashes in quotes": 'x="' + "\\" * size,
        "escapes in quotes": 'x="' + '\\"' * (size // 2),
        "octal escapes": 'x="' + "\\101" * (size // 4),
        "spaces": "x=y;" + " " * size + "=z",
        "tabs before the name": "\t" * size + "session",
        "semicolons": ";" * size,
        "our name": "session=; " * (size // 10),
        "equals signs": "=" * size,
        "quotes": '"' * size,
    }


@advisory(
    "CVE-2024-7592",
    "CVE-2024-52804",
    "CVE-2025-27219",
    product="CPython, Tornado, Ruby's cgi",
    cause="The time to parse a header grew with the square of its length.",
    mutants=[planted.unquotes_step_by_step, planted.backtracks],
)
@requirement(
    "Catalogue D3",
    says="No header takes quadratic time.",
    mutants=[planted.unquotes_step_by_step, planted.backtracks],
)
@pytest.mark.kinds("memory")
def test_no_header_takes_long_to_read(place: str, web_on: WebOn) -> None:
    """A crafted header of 32 KiB takes at most a hundred times as long as an ordinary one."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for shape, header in _headers(32 << 10).items():
        start = time.process_time()
        seen(web, header.encode())
        assert time.process_time() - start < 0.3, shape


#: Other spellings of a token, some of which mean the same to what decodes or normalizes them.
_SPELLINGS: dict[str, Callable[[str], str | bytes]] = {
    "padded": lambda t: t + "=",
    "padding escaped": lambda t: t + "%3D",
    "a dot behind": lambda t: t + ".",
    "a no-break space behind": lambda t: t.encode() + b"\xa0",
    "a line behind": lambda t: t + "\x0b",
    "the first letter escaped": lambda t: f"%{ord(t[0]):02X}{t[1:]}",
    "upper case": str.upper,
    "lower case": str.lower,
    "the other case": str.swapcase,
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) for c in t).encode(),
    "a Kelvin sign for each K": lambda t: t.replace("K", "\u212a").replace("k", "\u212a").encode(),
    "a long s for each s": lambda t: t.replace("s", "\u017f").encode(),
    "superscript digits": lambda t: t.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")).encode(),
    "an accent behind": lambda t: t.encode() + "\u0301".encode(),
    "another end": lambda t: t[:-1] + ("A" if t[-1] != "A" else "E"),
    "the first half": lambda t: t[:22] + "A" * 21,
    "spare bits": lambda t: t[:-1] + chr(ord(t[-1]) + 1),
    "quoted": lambda t: f'"{t}"',
    "octal escapes": lambda t: '"' + "".join(f"\\{ord(c):03o}" for c in t) + '"',
}


@advisory(
    "CVE-2026-25480",
    product="Litestar",
    cause="Names were normalized before they became file names, so that different keys led to the same file.",
    mutants=[planted.folds_spellings, planted.ignores_the_case_of_tokens, planted.strips_tokens],
)
@advisory(
    "CVE-2024-55885",
    product="beego",
    cause="Names were made by a hash without collision resistance.",
    mutants=[planted.short_keys, planted.any_shape_will_do],
)
@requirement(
    "Catalogue C4",
    "Catalogue C8",
    says="A token has one spelling: other encodings of the same bytes are refused.",
    mutants=[
        planted.folds_spellings,
        planted.ignores_the_case_of_tokens,
        planted.strips_tokens,
        planted.any_shape_will_do,
    ],
)
def test_a_token_has_one_spelling(place: str, web_on: WebOn) -> None:
    """On every store only the exact token opens a session."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    token = web.token() or ""
    for name, spell in _SPELLINGS.items():
        spelled = spell(token)
        raw = spelled if isinstance(spelled, bytes) else spelled.encode()
        assert raw == token.encode() or seen(web, b"session=" + raw) == "None", name
    assert is_token(token)
    assert seen(web, b"session=" + token.encode()) == "victim"
