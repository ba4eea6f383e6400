"""NIST SP 800-63B-4: what it asks beyond ASVS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import pytest
from security.rows import requirement
from support import seams
from support.application import Site, values_set
from support.dumps import dump
from werkzeug.middleware.proxy_fix import ProxyFix

from holdfast.flask.session import FlaskSession
from holdfast.records.metadata import ADDRESS
from holdfast.sessions.mapping import ServerSession

SiteOn = Callable[..., Site]

PLAIN = "http://shop.example/"
PROXIED = {"X-Forwarded-Proto": "https"}


def any_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request counts as one over HTTPS."""
    seams.FLASK_SESSION_ARRIVED_SECURE.plant(monkeypatch, property(lambda self: True))


def ignored_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token sent over plain http is ignored there, and its session continues."""
    seams.FLASK_SESSION_BINDING_REFUSED.plant(monkeypatch, lambda self, opened: None)


@requirement(
    "NIST 5.1 (4)(6) protected channel",
    "NIST 5.1 storage and fallback",
    "OWASP TLS",
    says="A session is used over HTTPS only, and one whose token was sent over plain http is ended.",
    mutants=[any_channel, ignored_and_kept],
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


def never_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's headers about the channel are ignored."""
    seams.FLASK_SESSION_ARRIVED_SECURE.plant(monkeypatch, property(lambda self: False))


@requirement(
    "OWASP TLS",
    says="Behind a proxy that terminates HTTPS the cookie is sent, if the application is configured for the proxy.",
    mutants=[never_secure],
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


def every_request_is_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background requests keep a session alive."""
    monkeypatch.setattr(
        ServerSession, "background", property(lambda self: False, lambda self, value: None), raising=False
    )


@requirement(
    "NIST 5.2 two timeouts",
    says="Background polling is no activity of the user.",
    mutants=[every_request_is_use],
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


def every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of each login is stored."""
    describe = seams.FLASK_SESSION_DEVICE.sound

    def tell(self: FlaskSession) -> dict[str, str | None]:
        return {**describe(self), ADDRESS: self._request.remote_addr}

    seams.FLASK_SESSION_DEVICE.plant(monkeypatch, tell)


def whole_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's User-Agent is stored as it is."""
    seams.FLASK_SESSION_DEVICE.plant(monkeypatch, lambda self: {"browser": self._request.headers.get("User-Agent", "")})


@requirement(
    "NIST 5.3 monitoring",
    says="The user's device and address are stored only if the settings say so, and hashed or coarse.",
    mutants=[every_address, whole_agents],
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
