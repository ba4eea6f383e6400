"""ASVS 5.0 on cookies (V3.3) and ids, with what other standards ask alike."""

from __future__ import annotations

import base64
import itertools
import logging
import operator
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from security import bugs
from security import planted_requirements_asvs_cookies as planted
from security.bugs import any_setting_will_do
from security.rows import requirement
from support.application import Site, values_set
from support.web import STRANGER, attributes

from holdfast.errors import ConfigurationError
from holdfast.records import tokens
from holdfast.records.encryption import new_key

SiteOn = Callable[..., Site]

KEY = new_key()
DAY = 24 * 3600 * 1000


# --- ids --------------------------------------------------------------------------------------------------------------

#: SealMode many ids are made and compared. Ten million, for a longer run, take 2 GB.
IDS = int(os.environ.get("HOLDFAST_TEST_IDS", "200000"))


def made_in_workers(each: int, workers: int) -> Iterator[bytes]:
    """Yield *each* new tokens of each of so many forked *workers*."""
    for _ in range(workers):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with os.fdopen(writing, "wb") as pipe:
                    for _ in range(each):
                        pipe.write(tokens.new_token().encode() + b"\n")
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            yield from pipe.read().splitlines()
        os.waitpid(child, 0)


@requirement(
    "ASVS 7.2.3",
    "ASVS 4.0 3.2.2",
    "ASVS 4.0 3.2.4",
    "OWASP entropy and length",
    "OWASP content",
    "NIST 5.1 (1)(2) approved generator",
    says="Tokens are unique, random in every bit, at least 128 bits long, and contain no data.",
    mutants=[planted.inherited_randomness, planted.the_time_first, planted.eight_bytes],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # later Pythons warn where there are threads
@pytest.mark.timeout(60 + IDS // 50_000)
def test_tokens_are_unique_and_even() -> None:
    """Of the ids that four forked workers make, none occurs twice, and no place prefers a letter or repeats another.

    Chi-square with 63 degrees of freedom exceeds 160 once in 10^10 times. Two bytes are the same in 8 of 2,000 ids.
    """
    made = list(made_in_workers(IDS // 4, 4))
    assert len(set(made)) == len(made) == IDS // 4 * 4
    assert {len(token) for token in made} == {43}
    sample = [token.decode() for token in made[:20_000]]
    expected = len(sample) / 64
    for place, column in enumerate(zip(*(token[:42] for token in sample), strict=True)):
        counts = Counter(column)
        assert len(counts) == 64
        assert sum((count - expected) ** 2 for count in counts.values()) / expected < 160, f"place {place}"
    pairs = Counter(token[:2] for token in sample)
    assert max(pairs.values()) < 40, "20,000 ids share 4,096 prefixes of two letters"
    drawn = (base64.urlsafe_b64decode(f"{token}=") for token in sample[:2_000])
    for one, other in itertools.combinations(zip(*drawn, strict=True), 2):
        assert sum(map(operator.eq, one, other)) < 40, "a byte of the ids is a copy of another one"


# --- what the cookie is like ------------------------------------------------------------------------------------------


@requirement(
    "ASVS 3.3.1",
    "ASVS 3.3.2",
    "ASVS 3.3.3",
    "ASVS 4.0 3.4.1",
    "ASVS 4.0 3.4.2",
    "ASVS 4.0 3.4.3",
    "ASVS 4.0 3.4.4",
    "OWASP cookie attributes",
    "NIST 5.1.1 cookies",
    says="The cookie is Secure and HttpOnly, has SameSite and the __Host- prefix, and so has its deletion.",
    mutants=[planted.profile_of_words, bugs.bare_deletion, planted.readable_by_scripts],
)
@pytest.mark.kinds("memory")
@pytest.mark.parametrize("profile", ["asvs-l1", "nist-aal2"])
def test_every_cookie_has_every_attribute(place: str, site_on: SiteOn, profile: str) -> None:
    """Under a profile every Set-Cookie, including the deletion, has all attributes. The default is Flask's."""
    site = site_on(place, SESSION_PROFILE=profile)
    jar = site.jar()
    for path, form in [("/set", {"k": "a", "v": "b"}), ("/login", {"u": "ada"}), ("/rotate", {}), ("/logout", {})]:
        sent = values_set(jar.post(path, **form), "__Host-id")
        assert len(sent) == 1
        found = attributes(sent[0])
        deleted = {"max-age": "0", "expires": "Thu, 01 Jan 1970 00:00:00 GMT"} if path == "/logout" else {}
        assert found == {"secure": None, "httponly": None, "samesite": "Lax", "path": "/", **deleted}


_HOST = {"SESSION_COOKIE_NAME": "__Host-id", "SESSION_COOKIE_SECURE": True}


@requirement(
    "ASVS 3.3.1",
    "ASVS 3.3.2",
    "ASVS 3.3.3",
    "RFC 6265bis 4.1.3",
    "RFC 6265bis 5.6-5.7",
    "RFC 6265bis, layered cookies",
    "RFC 6265bis, CHIPS",
    says="A name, a path or attributes that conflict are refused at start-up.",
    mutants=[any_setting_will_do],
)
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SESSION_COOKIE_NAME": "__Host-id"}, "SESSION_COOKIE_SECURE"),
        ({"SESSION_COOKIE_NAME": "__secure-id"}, "SESSION_COOKIE_SECURE"),
        ({**_HOST, "SESSION_COOKIE_DOMAIN": "shop.example"}, "__Secure-id"),
        ({**_HOST, "SESSION_COOKIE_PATH": "/app"}, "SESSION_COOKIE_PATH"),
        ({**_HOST, "SESSION_COOKIE_NAME": "__Host-Http-id", "SESSION_COOKIE_HTTPONLY": False}, "SESSION_COOKIE_HTTP"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "SESSION_COOKIE_SECURE"),
        ({"SESSION_COOKIE_PARTITIONED": True}, "SESSION_COOKIE_SECURE"),
        ({"SESSION_COOKIE_PATH": "/" + "a" * 1024}, "SESSION_COOKIE_PATH"),
        ({"SESSION_COOKIE_NAME": "a;b"}, "SESSION_COOKIE_NAME"),
        ({"SESSION_COOKIE_DOMAIN": "a\r\nb"}, "SESSION_COOKIE_DOMAIN"),
    ],
)
@pytest.mark.kinds("memory")
def test_a_cookie_that_browsers_would_drop_is_refused(
    place: str, site_on: SiteOn, settings: dict[str, Any], named: str
) -> None:
    """The application does not start, and the message names the setting to change."""
    with pytest.raises(ConfigurationError, match=named):
        site_on(place, **settings)


@requirement(
    "ASVS 3.3.5",
    "ASVS 4.2.5",
    "ASVS 14.3.3",
    "ASVS 4.0 8.2.2",
    "RFC 6265bis 4.2.1 header limit",
    "RFC 6265bis 5.6-5.7",
    says="The cookie is small and contains no data, with any session.",
    mutants=[planted.data_in_the_cookie],
)
def test_the_cookie_is_small_whatever_the_session_holds(place: str, site_on: SiteOn) -> None:
    """With 20 KB in the session the cookie is 43 characters of randomness, and the next request works."""
    site = site_on(place)
    jar = site.jar()
    for size in (1, 1000, 5000, 20_000):
        jar.login("ada-lovelace")
        jar.post("/set", k="k", v="v" * size)
        assert jar.me() == "ada-lovelace"
    for header in site.cookies_seen:
        value = header.partition("=")[2].partition(";")[0]
        assert len(value) == 43
        assert b"ada" not in base64.urlsafe_b64decode(value + "=")


# --- where the token shows up -----------------------------------------------------------------------------------------


@requirement(
    "ASVS 3.3.4",
    "ASVS 14.2.1",
    "ASVS 16.2.5",
    "ASVS 4.0 3.1.1",
    "ASVS 4.0 3.2.3",
    "ASVS 4.0 7.1.1",
    "NIST 5.1 storage and fallback",
    says="Only Set-Cookie sends the token: no body, header, log, signal or error page does.",
    mutants=[bugs.keys_are_tokens, planted.logs_the_token],
)
def test_the_token_is_in_the_cookie_alone(place: str, site_on: SiteOn, caplog: pytest.LogCaptureFixture) -> None:
    """With logins, an error, rejections and a logout, and all loggers at DEBUG, no token is visible."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="sqlalchemy")
    site = site_on(place, SESSION_RENEWAL_INTERVAL=3600)
    jar, told = site.jar(), []

    def note(response: Any) -> None:
        told.extend([response.get_data(as_text=True), *(v for k, v in response.headers if k != "Set-Cookie")])

    requests: list[tuple[str, str]] = [("/set", "k=a&v=b"), ("/login", "u=ada"), ("/rotate", ""), ("/inc", "")]
    for path, form in requests:
        note(jar.open("POST", path, query_string=form, data=dict(part.split("=") for part in form.split("&") if part)))
        note(jar.get("/me"))
        note(jar.get("/error"))
    if place.partition(":")[0] != "memcached":
        note(jar.get("/sessions"))
    site.clock.advance(4000)
    early = jar.copy()
    note(jar.get("/me"))
    note(early.get("/me"))
    note(site.jar(STRANGER).get("/me"))
    note(jar.post("/logout"))
    note(early.get("/me"))
    issued = {header.partition("=")[2].partition(";")[0] for header in site.cookies_seen} - {""}
    assert len(issued) == 4
    told += [repr(site.heard), caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert caplog.records
    assert not [token for token in issued if any(token in text for text in told)]


@requirement(
    "ASVS 14.2.1",
    "ASVS 15.3.7",
    "ASVS 4.0 3.1.1",
    "ASVS 4.0 5.1.1",
    "ASVS 4.0 13.1.3",
    "OWASP used vs. accepted",
    says="A token is accepted from the cookie only.",
    mutants=[bugs.token_from_anywhere, planted.body_over_cookie],
)
@pytest.mark.kinds("memory")
def test_a_token_elsewhere_than_in_the_cookie_is_ignored(place: str, site_on: SiteOn) -> None:
    """In the query, the path, the form, the JSON or a header a token is ignored, also beside a cookie."""
    site = site_on(place)
    ada, bob = *site.jars("ada", 1), *site.jars("bob", 1)
    token, name = ada.token or "", site.cookie_name
    ways: list[dict[str, Any]] = [
        {"query_string": {name: token}},
        {"headers": {"X-Session": token, "Authorization": f"Bearer {token}"}},
        {"data": {name: token}},
        {"json": {name: token}},
    ]
    for way in ways:
        assert site.jar().told("/me", **way)["user"] is None
        assert bob.told("/me", **way)["user"] == "bob"
    assert site.jar().get(f"/me;{name}={token}").status_code == 404
    assert ada.me() == "ada"
