"""The Set-Cookie header: no injection, on every kind of response, with all its attributes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Response, redirect, send_file, stream_with_context
from security import bugs
from security import planted_set_cookie as planted
from security.bugs import any_setting_will_do
from security.rows import advisory
from support.web import Web, attributes, cookies_set, end, rotate, varies

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.records.encryption import new_key

WebOn = Callable[..., Web]


_BREAKERS = ["\r\nX-Evil: 1", "\nSet-Cookie: a=b", "\r", "; Domain=evil.example", ";", "\x00", "\x0b", "\x7f", "\x01"]


@advisory(
    "CVE-2024-47764",
    "CVE-2026-0672",
    "CVE-2026-3644",
    "CVE-2016-9964",
    "CVE-2012-2374",
    product="cookie for Node.js, CPython's http.cookies, Bottle, Tornado",
    cause="Line breaks and semicolons in a name, path or domain reached the header, and began headers or attributes.",
    mutants=[any_setting_will_do, planted.only_line_breaks_matter],
)
@pytest.mark.kinds("memory")
@pytest.mark.parametrize("setting", ["SESSION_COOKIE_NAME", "SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_PATH"])
def test_no_setting_of_the_cookie_can_break_its_header(place: str, web_on: WebOn, setting: str) -> None:
    """A semicolon or control character in the cookie's name, domain or path is an error at start-up that names it."""
    good = {"SESSION_COOKIE_NAME": "s", "SESSION_COOKIE_DOMAIN": "example.org", "SESSION_COOKIE_PATH": "/x"}[setting]
    for breaker in _BREAKERS:
        for value in (good + breaker, good + breaker + "x", good[0] + breaker + good[1:]):
            with pytest.raises(ConfigurationError, match=setting):
                web_on(place, **{setting: value})


def _listed() -> Response:
    return Response("text", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Vary", "Accept, Origin")])


#: Kinds of responses, each with its own handling of headers and its own cookies, and the expected Vary. If that is "*"
#: already, nothing is added.
_WAYS: list[tuple[Callable[[], Any], list[str], set[str]]] = [
    (lambda: "text", [], {"cookie"}),
    (lambda: Response(stream_with_context(iter("text"))), [], {"cookie"}),
    (lambda: send_file(io.BytesIO(b"text"), mimetype="text/plain"), [], {"cookie"}),
    (lambda: Response(status=304), [], {"cookie"}),
    (lambda: redirect("/"), [], {"cookie"}),
    (_listed, ["a=1", "b=2"], {"accept", "origin", "cookie"}),
    (lambda: Response("text", headers={"Vary": "*", "Set-Cookie": "a=1"}), ["a=1"], {"*"}),
]


@advisory(
    "CVE-2025-7339",
    product="on-headers, under express-session",
    cause="Headers that were given as a list were lost or mixed up when the session added its own.",
    mutants=[planted.streams_go_without, planted.replaces_other_cookies, planted.rewrites_vary],
)
@pytest.mark.kinds("memory")
def test_every_kind_of_response_carries_the_cookie(place: str, web_on: WebOn) -> None:
    """Text, streams, files and lists of headers get one cookie of ours, ``Vary``, and keep all that they had."""
    web = web_on(place)

    def view(answer: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: (session.update(a=1), answer())[1]

    for answer, others, vary in _WAYS:
        browser = web.app.test_client()
        response = web.do(view(answer), browser)
        headers = response.headers.getlist("Set-Cookie")
        assert len(cookies_set(response)) == 1
        assert [header for header in headers if not header.startswith("session=")] == others
        assert set(varies(response.headers)) == vary
        assert web.data(browser) == {"a": 1}
        response.close()


_HARDENED = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_SAMESITE": "Strict",
    "SESSION_COOKIE_DOMAIN": "example.org",
    "SESSION_COOKIE_PATH": "/",
}


@advisory(
    "CVE-2022-3174",
    "CVE-2022-3250",
    "CVE-2022-39284",
    "CVE-2026-48058",
    product="rdiffweb, CodeIgniter and others",
    cause="The cookie was sent without Secure, or its setting had no effect.",
    mutants=[planted.forgets("secure"), planted.forgets("httponly"), bugs.bare_deletion],
)
@advisory(
    "CVE-2024-22416",
    product="pyLoad",
    cause="The cookie was sent without SameSite, so that other sites could send requests with it.",
    mutants=[planted.forgets("samesite"), bugs.bare_deletion],
)
@pytest.mark.kinds("memory")
def test_every_cookie_has_the_attributes_that_are_set(place: str, web_on: WebOn) -> None:
    """The first cookie, a rotated one, a refreshed one and a deletion have Secure, HttpOnly, SameSite and the rest."""
    web = web_on(place, **_HARDENED)
    views: list[Callable[[], object]] = [
        lambda: session.update(a=1),
        rotate,
        lambda: setattr(session, "permanent", True),
        end,
    ]
    for view in views:
        [header] = cookies_set(web.do(view, base_url="https://example.org"))
        found = attributes(header)
        assert {"secure", "httponly"} <= found.keys()
        assert (found.get("samesite"), found.get("domain"), found.get("path")) == ("Strict", "example.org", "/")


@advisory(
    "CVE-2024-22416",
    "CVE-2022-3174",
    product="pyLoad, rdiffweb",
    cause="The defaults omitted the attributes.",
    mutants=[planted.forgets("secure"), planted.forgets("samesite"), planted.forgets("httponly")],
)
@pytest.mark.kinds("memory")
def test_a_profile_sets_the_attributes(place: str, web_on: WebOn) -> None:
    """With a profile every cookie has Secure, HttpOnly, SameSite and the path that its prefix requires."""
    for profile in ("asvs-l1", "asvs-l2", "asvs-l3", "nist-aal1", "nist-aal2", "nist-aal3"):
        web = web_on(place, SESSION_PROFILE=profile, SESSION_SEAL_KEYS=[new_key()])
        name = web.app.config["SESSION_COOKIE_NAME"]
        assert name.startswith("__Host-")
        views: list[Callable[[], object]] = [lambda: session.update(a=1), rotate, end]
        for view in views:
            [header] = cookies_set(web.do(view, base_url="https://localhost"), name)
            found = attributes(header)
            assert {"secure", "httponly", "samesite"} <= found.keys()
            assert found["path"] == "/"
            assert found["samesite"] in {"Lax", "Strict"}
            assert "domain" not in found


@advisory(
    "RUSTSEC-2017-0005",
    product="cookie for Rust",
    cause="A huge Max-Age crashed the program.",
    mutants=[planted.lifetimes_as_they_are, planted.lifetimes_without_limit],
)
@pytest.mark.kinds("memory")
@pytest.mark.filterwarnings("ignore:.*400 days")
def test_every_lifetime_makes_a_cookie_or_an_error(place: str, web_on: WebOn) -> None:
    """A lifetime from one second to the longest gives a Max-Age of at most 400 days; an invalid one is refused."""
    for lifetime in (1, 2**31, 2**32, timedelta.max, timedelta(days=999_999)):
        web = web_on(place, SESSION_PERMANENT=True, PROPAGATE_EXCEPTIONS=False)
        web.app.config.update(PERMANENT_SESSION_LIFETIME=lifetime, SESSION_ABSOLUTE_LIFETIME=lifetime)
        response = web.put(a=1)
        assert response.status_code == 200
        [header] = cookies_set(response)
        assert 0 < int(attributes(header)["max-age"] or 0) <= 400 * 86400
        assert web.data() == {"a": 1}
    for wrong in (0, -1, 2**63, 2**64, math.inf, math.nan, timedelta(0), timedelta.min, True, "3600"):
        for name in ("PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME"):
            with pytest.raises(ConfigurationError, match=name):
                web_on(place, **{name: wrong})
