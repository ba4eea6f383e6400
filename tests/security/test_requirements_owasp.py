"""OWASP's Session Management Cheat Sheet: the requirements beyond ASVS."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, cast

import pytest
from flask import Response, abort, request
from security import bugs
from security import planted_requirements_owasp as planted
from security.bugs import does_not_end_what_it_refuses
from security.planted_requirements_owasp import DAY
from security.rows import requirement
from support.application import Site, said, values_set
from support.dumps import dump
from support.web import STRANGER, attributes

from holdfast.records.encryption import new_key

SiteOn = Callable[..., Site]

KEY = new_key()
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"}
CURL = {"User-Agent": "curl/8.5.0"}


@requirement(
    "OWASP name fingerprinting",
    says="Neither the cookie nor a page reveals the session library.",
    mutants=[planted.names_itself],
)
@pytest.mark.kinds("memory")
def test_nothing_names_the_library(place: str, site_on: SiteOn) -> None:
    """The cookie's names are neutral, and no header, error page or response names Holdfast."""
    plain, strict = site_on(place), site_on(place, SESSION_PROFILE="asvs-l1")
    assert (plain.cookie_name, strict.cookie_name) == ("session", "__Host-id")
    told = []
    for site in (plain, strict):
        jar = site.jar()
        answers = [jar.login("ada"), jar.get("/me"), jar.get("/error"), jar.get("/nowhere"), jar.post("/logout")]
        answers += [site.jar().get("/secret"), site.jar(STRANGER).get("/me"), site.jar().post("/redeem")]
        told += [f"{answer.headers} {answer.get_data(as_text=True)}" for answer in answers]
    assert "holdfast" not in "".join(told).lower()


@requirement(
    "OWASP protection of the repository",
    says="A copy of the store reveals no data.",
    mutants=[bugs.keys_are_tokens, planted.stored_in_clear, planted.payload_in_clear],
)
def test_a_copy_of_the_store_gives_nothing_away(place: str, site_on: SiteOn) -> None:
    """With sealing on, drivers show neither a token nor a value in the store."""
    site = site_on(place, SESSION_SEAL="cookie", SESSION_SEAL_KEYS=[KEY])
    canary = "canary-7f3a91c04d"
    jar = site.jar()
    jar.login("ada")
    jar.post("/set", k="card", v=canary)
    copy = dump(cast("Any", site), place)
    assert site.count() == 1
    assert canary.encode() not in copy
    tokens = {header.partition("=")[2].partition(";")[0] for header in site.cookies_seen}
    assert not [token for token in tokens if token.encode() in copy]


@requirement(
    "OWASP Expires and Max-Age",
    "NIST 5.1 not persistent",
    "NIST 5.1.1 cookies",
    "RFC 6265bis 4.1.2.1-4.1.2.2",
    says="A cookie ends with the browser unless it is permanent, and then with the session at the latest.",
    mutants=[planted.cookies_for_ever, planted.cookies_outlive_sessions],
)
@pytest.mark.kinds("memory")
def test_a_cookie_lasts_no_longer_than_its_session(place: str, site_on: SiteOn) -> None:
    """By default it has no expiry; a permanent one ends with the absolute timeout, by both ways to set it."""
    [plain] = values_set(site_on(place).jar().login("ada"), "session")
    assert not {"max-age", "expires"} & attributes(plain).keys()
    site = site_on(
        place, SESSION_PERMANENT=True, PERMANENT_SESSION_LIFETIME=31 * DAY, SESSION_ABSOLUTE_LIFETIME=40 * DAY
    )
    jar = site.jar()
    for elapsed, expected in ((0, 31), (20, 20)):
        site.clock.advance(elapsed * DAY)
        [header] = values_set(jar.get("/me") if jar.token else jar.login("ada"), "session")
        found = attributes(header)
        assert found["max-age"] == str(expected * DAY)
        until = parsedate_to_datetime(found["expires"] or "") - datetime.now(timezone.utc)
        assert abs(until.total_seconds() - expected * DAY) < 3
    site.clock.advance(19 * DAY)
    assert not values_set(jar.get("/me"), "session")  # the last one ends with the session
    site.clock.advance(DAY)
    assert jar.me() is None


@requirement(
    "OWASP strict session management",
    says="An id that was not issued is never adopted, and each is reported.",
    mutants=[planted.adopts_the_id],
)
def test_made_up_ids_are_never_adopted(place: str, site_on: SiteOn) -> None:
    """Each of 30 well-formed ids is reported as unknown, leaves no record, and is replaced when a session begins."""
    site = site_on(place)
    made_up = [secrets.token_urlsafe(32) for _ in range(30)]
    assert {site.jar(token).me() for token in made_up} == {None}
    assert site.reasons() == ["unknown_id"] * 30
    assert site.records() == {}
    for token in made_up:
        jar = site.jar(token)
        jar.post("/set", k="a", v="b")
        assert jar.token not in {None, token}
    assert not set(map(site.sessions.manager.keys.key_of, made_up)) & site.records().keys()


@requirement(
    "OWASP timeouts",
    says="A session in use gets a new token periodically, and the old one is valid for a short time only.",
    mutants=[planted.never_renewed, planted.old_ones_for_a_day],
)
def test_a_token_is_renewed(place: str, site_on: SiteOn) -> None:
    """At 301 seconds there is a new token; once it was used, the old one leads to it for ten more, and is then unknown.

    A late request with the old token is the user's own: it gets the session, and may write. After the grace period the
    token is unknown, and the session of the new token continues.
    """
    site = site_on(place, SESSION_RENEWAL_INTERVAL=300, SESSION_ROTATION_GRACE=10)
    [jar] = site.jars("ada", 1)
    old, late = jar.copy(), jar.copy()
    site.clock.advance(299)
    assert (jar.me(), jar.token) == ("ada", old.token)
    site.clock.advance(2)
    assert jar.me() == "ada"
    assert jar.token != old.token
    assert jar.me() == "ada"
    site.clock.advance(9)
    assert old.me() == "ada"
    assert old.token == jar.token
    site.clock.advance(2)
    site.reasons()
    assert late.me() is None
    assert site.reasons() == ["unknown_id"]
    assert jar.me() == "ada"


@requirement(
    "OWASP guessing",
    says="Guesses can be counted by client address, and answered before any lookup.",
    mutants=[planted.deaf_to_hooks, planted.asks_afterwards],
)
@pytest.mark.kinds("memory")
def test_guesses_can_be_stopped(place: str, site_on: SiteOn) -> None:
    """After twenty guesses from one address the application answers 429, without a store call."""
    site = site_on(place)
    guesses: dict[str | None, int] = {}

    @site.sessions.before_lookup
    def limit() -> None:
        if guesses.get(request.remote_addr, 0) >= 20:
            abort(429)

    @site.app.after_request
    def count(response: Response) -> Response:
        if site.reasons() == ["unknown_id"]:
            guesses[request.remote_addr] = guesses.get(request.remote_addr, 0) + 1
        return response

    def guess(address: str) -> int:
        overrides = {"REMOTE_ADDR": address}
        return site.jar(secrets.token_urlsafe(32)).get("/me", environ_overrides=overrides).status_code

    assert [guess("203.0.113.9") for _ in range(20)] == [200] * 20
    with site.calls() as calls:
        assert [guess("203.0.113.9") for _ in range(5)] == [429] * 5
    assert calls == {}
    assert guess("203.0.113.10") == 200


@requirement(
    "OWASP anomalies",
    "OWASP binding",
    "OWASP cookie theft",
    "ASVS 8.2.4",
    says="A token that is used by another browser is reported, and can end its session.",
    mutants=[planted.one_device_for_all, does_not_end_what_it_refuses],
)
def test_a_token_in_another_browser_is_noticed(place: str, site_on: SiteOn) -> None:
    """By default there is no effect; ``signal`` reports it; ``end`` ends the session for all browsers."""
    site = site_on(place)
    results = []
    for policy in (None, "signal", "end"):
        worker = site.worker(SESSION_ON_DEVICE_CHANGE=policy)
        jar = worker.jar()
        jar.open("POST", "/login", data={"u": "ada"}, headers=FIREFOX)
        thief = jar.copy()
        assert jar.told("/me", headers={**FIREFOX, "Cookie": f"session={jar.token}"})["user"] == "ada"
        worker.reasons()
        stolen = thief.told("/me", headers={**CURL, "Cookie": f"session={thief.token}"})["user"]
        reasons = worker.reasons()
        own = said(jar.get("/me", headers={**FIREFOX, "Cookie": f"session={jar.token}"}))["user"]
        results.append((stolen, reasons[:1], own))
    assert results == [("ada", [], "ada"), ("ada", ["binding_changed"], "ada"), (None, ["binding_changed"], None)]
