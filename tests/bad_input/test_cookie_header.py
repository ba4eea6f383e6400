"""The Cookie header: only the exact name counts, two values are refused, and no header takes long to read."""

from __future__ import annotations

import time

import pytest
from bad_input import cookies
from bad_input import planted_cookie_header as planted
from bad_input.answers import assert_fresh_id, assert_header_nobody, send, victim
from security.rows import advisory, requirement
from security.steps import WebOn, signed_in
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast.flask import session
from holdfast.records.tokens import new_token

# --- names ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def prefixed(place: str, web_on: WebOn) -> Web:
    """Return an application with a ``__Host-`` cookie, and a session of its browser."""
    web = web_on(place, SESSION_COOKIE_NAME="__Host-s", SESSION_COOKIE_SECURE=True, PROPAGATE_EXCEPTIONS=False)
    web.do(lambda: session.update(user="victim"), base_url="https://localhost")
    return web


def token_of(web: Web) -> bytes:
    """Return the token of the browser's session."""
    cookie = web.browser.get_cookie(web.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    return cookie.value.encode()


def seen(web: Web, header: bytes) -> str:
    """Return whom a request with the Cookie *header*, as it is, is taken for. It must not fail and not set a cookie."""
    response = send(web, header)
    assert response.status_code == 200
    assert not cookies_set(response, web.app.config["SESSION_COOKIE_NAME"])
    return response.text


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
def test_no_other_name_is_taken_for_ours(prefixed: Web, web_on: WebOn) -> None:
    """The victim's token under any name similar to ours, prefixed or not, opens no session; under its own it does."""
    token = token_of(prefixed)
    for name in cookies.PREFIXED_NAMES:
        assert seen(prefixed, name.encode("latin-1") + b"=" + token) == "None", name
    assert seen(prefixed, b"__Host-s=" + token) == "victim"
    web = web_on("memory://", PROPAGATE_EXCEPTIONS=False)
    mine = victim(web)
    for header in cookies.NAMES:
        assert_header_nobody(web, header.format(mine), None)
    assert send(web, f"$Version=1; session={mine}; $Path=/").text == "victim"


@advisory(
    "CVE-2023-26049",
    product="Jetty",
    cause="A quoted value extended over the next cookies, so that they could be hidden, or read from inside it.",
    mutants=[planted.reads_inside_of_quotes, planted.takes_the_first],
)
@pytest.mark.kinds("memory")
def test_a_cookie_is_not_read_from_inside_of_another(prefixed: Web) -> None:
    """A value inside another cookie's quotes is not ours, whether a semicolon or a comma comes before it."""
    ours = b"__Host-s=" + token_of(prefixed)
    for header in (b'x="; %b; y"', b'x="\\"; %b"', b'x="a;%b;"', b'__Host-s="; %b"', b'x="a, %b"', b'x="a,%b", y=b'):
        assert seen(prefixed, header % ours) == "None", header
    for header in (b'x="a b"; %b', b'x="a; %b', b"x=a; %b; y=b", b"%b", b'%b; x="y"', b'"; %b; "'):
        assert seen(prefixed, header % ours) == "victim", header


# --- several of ours --------------------------------------------------------------------------------------------------


@requirement(
    "Catalogue D1",
    says="Of different values the one that is live counts, in any order; of two live ones none.",
    mutants=[planted.takes_the_first, planted.refuses_every_repetition],
)
@pytest.mark.kinds("memory")
def test_what_is_not_live_does_not_count(place: str, web_on: WebOn) -> None:
    """Beside junk, an empty, an unknown or an ended session's value, the live one is found, once or repeated."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    eve = signed_in(web, "eve")
    other = str(web.token(eve))
    assert_header_nobody(web, f"session={token}; session={other}", "ambiguous_cookie", loads=2)
    assert_fresh_id(web, f"session={token}; session={other}")
    web.do(end, eve)
    for second in ("junk", "", STRANGER, cookies.UNKNOWN, "x" * 5000, f'"{token}"', token[:-1], other):
        for between in cookies.BETWEEN:
            for header in (f"session={token}{between}session={second}", f"session={second}{between}session={token}"):
                assert send(web, header).text == "victim", header
    for header in (f"session={token}; session={token}", f"session={token};a=b;session={token};session={token}"):
        assert send(web, header).text == "victim"


@requirement(
    "Catalogue D1",
    says="At most four values are looked up, none of more, and none that cannot be a token.",
    mutants=[planted.looks_up_all],
)
@pytest.mark.kinds("memory")
def test_few_values_are_looked_up(place: str, web_on: WebOn) -> None:
    """Fifty values, junk or of the right form, cost no store call; four of that form cost four. One reason is named."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    junk = "; ".join(f"session={n}" for n in range(50))
    assert_header_nobody(web, junk, "malformed")
    tokens = [f"session={new_token()}" for _ in range(50)]
    assert_header_nobody(web, "; ".join([junk, *tokens]), "ambiguous_cookie")
    assert_header_nobody(web, "; ".join([junk, *tokens[:4]]), "unknown_id", loads=4)


@requirement(
    "Catalogue D2",
    says="A sibling site that sets a session of its own beside the victim's cannot make a user act in it.",
    mutants=[planted.takes_the_first, planted.takes_the_last],
)
def test_a_tossed_cookie_makes_nobody_act_for_another(place: str, web_on: WebOn) -> None:
    """On every store: with an attacker's cookie beside the victim's, in any order, neither is read or changed."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    eve = web.app.test_client()
    web.put(eve, user="eve")
    for header in (f"session={token}; session={web.token(eve)}", f"session={web.token(eve)}; session={token}"):
        assert_header_nobody(web, header, "ambiguous_cookie", loads=2)
        assert_fresh_id(web, header)
        for view in (rotate, lambda: session.update(card="4111")):
            send(web, header, view)
    assert web.data(eve) == {"user": "eve"}
    assert send(web, f"session={token}", lambda: str(dict(session))).text == "{'user': 'victim'}"


# --- long headers -----------------------------------------------------------------------------------------------------


@requirement(
    "Catalogue D3",
    says="Any number of cookies is parsed in linear time, and ours is found among them.",
    mutants=[planted.compares_each_with_each, planted.looks_only_at_the_beginning],
)
@pytest.mark.kinds("memory")
def test_ours_is_found_among_any_number(place: str, web_on: WebOn) -> None:
    """After, before and among up to 100,000 other cookies ours is found in linear time; without it, no session."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    for crowd in cookies.CROWDS.values():
        ours = (f"session={token}; {crowd}", f"{crowd}; session={token}", f"{crowd}; session={token}; {crowd}")
        for header in (*ours, crowd):
            start = time.process_time()
            assert send(web, header).text == ("None" if header == crowd else "victim")
            assert time.process_time() - start < 0.2 + 5e-7 * len(header)


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
    """A header of up to 64 KiB that is made to be slow takes at most a hundred times as long as an ordinary one."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for size in (8 << 10, 32 << 10, 64 << 10):
        for shape, header in cookies.tedious(size).items():
            start = time.process_time()
            assert_header_nobody(web, header, None)
            assert time.process_time() - start < 0.3, (shape, size)
