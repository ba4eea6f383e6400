"""RFC 6265bis, layered cookies and CHIPS: the requirements for a server's cookies."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from security import bugs
from security import planted_requirements_rfc6265bis as planted
from security.rows import requirement
from support.application import Site, values_set
from support.web import attributes

from holdfast.flask import session
from holdfast.flask.settings.cookie_rules import KNOWS_PARTITIONED
from holdfast.testing.concurrency import together

SiteOn = Callable[..., Site]

DAY = 24 * 3600

# --- the header -------------------------------------------------------------------------------------------------------

_OCTET = r"[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]"
_DAYS, _MONTHS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun", "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_ATTRIBUTES = {
    "Expires": rf"(?:{_DAYS}), \d\d (?:{_MONTHS}) \d{{4}} \d\d:\d\d:\d\d GMT",
    "Max-Age": r"0|[1-9]\d*",
    "Domain": r"[a-z0-9.-]+",
    "Path": r"/[\x20-\x3A\x3C-\x7E]*",
    "SameSite": "Strict|Lax|None",
    "Secure": None,
    "HttpOnly": None,
    "Partitioned": None,
}


def follows_the_grammar(header: str) -> bool:
    """Return whether a ``Set-Cookie`` header follows RFC 6265bis §4.1.1."""
    pair, *rest = header.split("; ")
    if not re.fullmatch(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:{_OCTET}*|\"{_OCTET}*\")", pair):
        return False
    names = [part.partition("=")[0] for part in rest]
    if len(set(names)) != len(names) or not set(names) <= _ATTRIBUTES.keys():
        return False
    for part in rest:
        name, equals, value = part.partition("=")
        form = _ATTRIBUTES[name]
        if (form is None) != (not equals) or (form is not None and not re.fullmatch(form, value)):
            return False
    return True


@requirement(
    "RFC 6265bis 4.1.1 grammar",
    "RFC 6265bis 4.1.1 one Set-Cookie per name",
    says="Every Set-Cookie follows the grammar, and a response has one for our name.",
    mutants=[planted.a_comma_in_the_value, planted.an_attribute_twice, planted.a_second_cookie],
)
@pytest.mark.kinds("memory")
def test_every_set_cookie_follows_the_grammar(place: str, site_on: SiteOn) -> None:
    """Under four configurations each header does, also of a request that does every operation on its session."""
    configurations: list[dict[str, Any]] = [
        {},
        {"SESSION_PROFILE": "nist-aal1"},
        {"SESSION_PERMANENT": True, "SESSION_COOKIE_DOMAIN": "shop.example", "SESSION_COOKIE_SAMESITE": "Strict"},
        {"SESSION_PERMANENT": True, "SESSION_USE_SIGNER": True, "SESSION_COOKIE_PATH": "/some path"},
    ]
    for config in configurations:
        site = site_on(place, **config)

        @site.app.post("/everything")
        def everything() -> str:
            session["a"] = 1
            session.rotate()
            session.clear()
            session["b"] = 2
            session.bind("ada")
            session.permanent = not session.permanent
            return "done"

        jar = site.jar()
        for path in ("/inc", "/everything", "/rotate", "/everything", "/logout"):
            response = jar.post(path)
            assert len(values_set(response, site.cookie_name)) <= 1
        assert len(site.cookies_seen) >= 5
        assert [header for header in site.cookies_seen if not follows_the_grammar(header)] == []


@requirement(
    "RFC 6265bis 4.1.2.3-4.1.2.4",
    says="The cookie is for the host that set it only, unless it is shared on purpose.",
    mutants=[planted.a_domain_of_its_own],
)
@pytest.mark.kinds("memory")
def test_the_cookie_has_no_domain_by_default(place: str, site_on: SiteOn) -> None:
    """By default the cookie, and its deletion, have no Domain, even if the server's name is set."""
    for config in ({}, {"SERVER_NAME": "shop.example"}, {"SESSION_PROFILE": "asvs-l2"}):
        site = site_on(place, **config)
        jar = site.jar()
        jar.login("ada")
        jar.post("/logout")
        assert len(site.cookies_seen) == 2
        assert not any("domain" in attributes(header) for header in site.cookies_seen)


# --- what comes back --------------------------------------------------------------------------------------------------


@requirement(
    "RFC 6265bis 4.1.3",
    says="No other spelling of a prefixed name is accepted.",
    mutants=[planted.by_any_spelling],
)
@pytest.mark.kinds("memory")
def test_no_other_spelling_of_the_name_counts(place: str, site_on: SiteOn) -> None:
    """A name in another case, escaped, with an extra space or equals sign is ignored, also beside the real one."""
    site = site_on(place, SESSION_PROFILE="asvs-l1")
    ada, eve = *site.jars("ada", 1), *site.jars("eve", 1)
    others = ["__HOST-id", "__host-id", "__Host-ID", "%5F_Host-id", "=__Host-id", "__Host-id ", "x__Host-id", "Host-id"]
    with site.calls() as calls:
        for name in others:
            assert site.jar().told("/me", headers={"Cookie": f"{name}={eve.token}"})["user"] is None
    assert calls == {}
    for name in others:
        header = f"{name}={eve.token}; __Host-id={ada.token}"
        assert site.jar().told("/me", headers={"Cookie": header})["user"] == "ada"


@requirement(
    "RFC 6265bis 4.1.1 concurrent Set-Cookie",
    says="The session continues with the cookie of any of several responses.",
    mutants=[planted.renewal_cuts_off],
)
def test_parallel_responses_may_arrive_in_any_order(place: str, site_on: SiteOn) -> None:
    """Of eight concurrent requests during a renewal, each response leaves its browser with a valid token."""
    site = site_on(place, SESSION_RENEWAL_INTERVAL=300, SESSION_PERMANENT=True)
    [jar] = site.jars("ada", 1)
    tabs = [jar.copy() for _ in range(8)]
    site.clock.advance(301)
    together(*(tab.inc for tab in tabs))
    assert [tab.me() for tab in tabs] == ["ada"] * 8
    assert len({tab.token for tab in tabs}) == 1
    assert tabs[0].token != jar.token
    assert tabs[0].told("/me")["n"] == 8


@requirement(
    "RFC 6265bis 4.2.1 several Cookie headers",
    "RFC 6265bis 6.1",
    says="Our cookie may be anywhere among others, split or not, or missing.",
    mutants=[planted.ours_alone, planted.missing_is_an_error],
)
@pytest.mark.kinds("memory")
def test_the_cookie_may_be_anywhere_or_gone(place: str, site_on: SiteOn) -> None:
    """Among sixty other cookies it is found in each position, however they were joined; without it there is no session.

    Servers join what HTTP/2 splits by "; " (RFC 9113 §8.2.3), WSGI servers join several headers by a comma.
    """
    site = site_on(place)
    [jar] = site.jars("ada", 1)
    others = [f"c{number}={number}" for number in range(60)]
    for at in (0, 1, 30, 60):
        for joint in ("; ", ";", ", ", ","):
            header = joint.join([*others[:at], f"session={jar.token}", *others[at:]])
            assert site.jar().told("/me", headers={"Cookie": header})["user"] == "ada"
    for kept in ([], others[:1], others):
        assert site.jar(**dict(pair.split("=") for pair in kept)).told("/me")["user"] is None


# --- how long, and where ----------------------------------------------------------------------------------------------


@requirement(
    "RFC 6265bis 5.5",
    says="No cookie has a lifetime of more than 400 days, and a longer setting is a warning.",
    mutants=[planted.no_cap, planted.cut_in_silence],
)
@pytest.mark.kinds("memory")
def test_no_cookie_lives_for_more_than_400_days(place: str, site_on: SiteOn) -> None:
    """With timeouts of 500 days the cookie is for 400, and a warning is logged at start-up."""
    long = timedelta(days=500)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        site = site_on(place, SESSION_PERMANENT=True, PERMANENT_SESSION_LIFETIME=long, SESSION_ABSOLUTE_LIFETIME=long)
    assert any("400 days" in str(warning.message) for warning in told)
    [header] = values_set(site.jar().login("ada"), "session")
    assert attributes(header)["max-age"] == "34560000"


@requirement(
    "RFC 6265bis, CHIPS",
    says="A partitioned cookie, and its deletion, have all attributes that browsers require.",
    mutants=[bugs.bare_deletion],
)
@pytest.mark.kinds("memory")
@pytest.mark.skipif(not KNOWS_PARTITIONED, reason="this Werkzeug knows no Partitioned")
def test_a_partitioned_cookie_is_whole(place: str, site_on: SiteOn) -> None:
    """It is Secure, SameSite=None and for the root path, and so is its deletion, or the cookie would not be deleted."""
    site = site_on(
        place,
        SESSION_COOKIE_NAME="__Host-id",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="None",
        SESSION_COOKIE_PARTITIONED=True,
    )
    jar = site.jar()
    jar.login("ada")
    jar.post("/logout")
    assert len(site.cookies_seen) == 2
    for header in site.cookies_seen:
        found = attributes(header)
        assert {name: found.get(name, "missing") for name in ("secure", "samesite", "partitioned", "path")} == {
            "secure": None,
            "samesite": "None",
            "partitioned": None,
            "path": "/",
        }
