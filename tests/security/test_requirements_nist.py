"""NIST SP 800-63B-4: the requirements beyond ASVS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import pytest
from security import planted_requirements_nist as planted
from security.bugs import does_not_end_what_it_refuses
from security.rows import requirement
from support.application import Site, values_set
from support.dumps import dump
from werkzeug.middleware.proxy_fix import ProxyFix

SiteOn = Callable[..., Site]

PLAIN = "http://shop.example/"
PROXIED = {"X-Forwarded-Proto": "https"}


@requirement(
    "NIST 5.1 (4)(6) protected channel",
    "NIST 5.1 storage and fallback",
    "OWASP TLS",
    says="A session is used over HTTPS only, and one whose token was sent over plain http is ended.",
    mutants=[planted.any_channel, does_not_end_what_it_refuses],
)
def test_a_session_is_for_https_alone(place: str, site_on: SiteOn, caplog: pytest.LogCaptureFixture) -> None:
    """Over http no cookie is sent or accepted, and a token sent that way ends its session. One warning is logged."""
    caplog.set_level(logging.WARNING, logger="holdfast")
    site = site_on(place, SESSION_REQUIRE_HTTPS=True, SESSION_COOKIE_SECURE=True)
    guest = site.jar()
    response = guest.open("POST", "/login", data={"u": "ada"}, base_url=PLAIN)
    assert not response.headers.getlist("Set-Cookie")
    assert site.count() == 0
    [jar] = site.jars("ada", 1)
    copy = jar.copy()
    assert jar.told("/me", base_url=PLAIN)["user"] is None
    assert (jar.me(), copy.me(), site.count()) == (None, None, 0)
    told = [record for record in caplog.records if "SESSION_REQUIRE_HTTPS" in record.getMessage()]
    assert len(told) == 1


@requirement(
    "OWASP TLS",
    says="Behind a proxy that terminates HTTPS the cookie is sent, if the application is configured for the proxy.",
    mutants=[planted.never_secure],
)
@pytest.mark.kinds("memory")
def test_a_proxy_may_speak_https_for_the_application(place: str, site_on: SiteOn) -> None:
    """With `ProxyFix` the proxy's headers count; without it no header of a request does."""
    for proxy in (None, lambda wsgi: ProxyFix(wsgi, x_proto=1)):
        site = site_on(place, SESSION_REQUIRE_HTTPS=True, SESSION_COOKIE_SECURE=True, proxy=proxy)
        jar = site.jar()
        response = jar.open("POST", "/login", data={"u": "ada"}, base_url=PLAIN, headers=PROXIED)
        assert bool(values_set(response, "session")) is (proxy is not None)
        if proxy is not None:
            assert (
                jar.told("/me", base_url=PLAIN, headers={**PROXIED, "Cookie": f"session={jar.token}"})["user"] == "ada"
            )


@requirement(
    "NIST 5.2 two timeouts",
    says="Background polling is no activity of the user.",
    mutants=[planted.every_request_is_use],
)
def test_a_poll_does_not_keep_a_session_alive(place: str, site_on: SiteOn) -> None:
    """A page that polls for a minute finds its session expired, gets no new token; a user's request still counts."""
    site = site_on(place, PERMANENT_SESSION_LIFETIME=60, SESSION_RENEWAL_INTERVAL=30)
    polled, used = site.jars("ada", 2)
    token = polled.token
    for _ in range(3):
        site.clock.advance(19)
        assert polled.told("/poll") is True
        assert used.me() == "ada"
    assert polled.token == token
    site.clock.advance(4)
    assert (polled.told("/poll"), polled.me(), used.me()) == (False, None, "ada")


@requirement(
    "NIST 5.3 monitoring",
    says="The user's device and address are stored only if the settings say so, and hashed or coarse.",
    mutants=[planted.every_address, planted.whole_agents],
)
def test_no_address_and_no_browser_is_kept_as_it_is(place: str, site_on: SiteOn) -> None:
    """By default the store has no address, and no ``User-Agent`` even if a change of it ends the session.

    By default a login keeps the families of browser and system, such as "Firefox on Linux".
    """
    agent = "Canary/7.1 (X11; CanaryOS 9; like Firefox/141.0)"
    for policy in (None, "end"):
        site = site_on(place, SESSION_ON_DEVICE_CHANGE=policy)
        jar = site.jar()
        jar.open(
            "POST",
            "/login",
            data={"u": "ada"},
            headers={"User-Agent": agent},
            environ_overrides={"REMOTE_ADDR": "203.0.113.77"},
        )
        copy = dump(cast("Any", site), place)
        assert site.count() >= 1
        assert b"203.0.113.77" not in copy
        assert agent.encode() not in copy
