"""ASVS 4.0.3: the requirements beyond ASVS 5.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import flash
from security import bugs
from security import planted_requirements_asvs_4 as planted
from security.bugs import any_shape_is_looked_up, saves_what_is_gone
from security.rows import requirement
from support.application import Site, said, values_set
from support.web import STRANGER, attributes

from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.testing.concurrency import together

SiteOn = Callable[..., Site]

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


@requirement(
    "ASVS 4.0 3.3.1",
    says="After a logout, the back button and a conditional request show no content of the session.",
    mutants=[bugs.logout_in_the_browser_only],
)
def test_a_page_of_a_user_is_not_confirmed_after_the_logout(place: str, site_on: SiteOn) -> None:
    """A conditional request for the user's page is answered with the page for visitors."""
    site = site_on(place)
    [jar] = site.jars("ada", 1)
    page = jar.get("/me")
    again = {"If-None-Match": page.headers["ETag"]}
    assert jar.get("/me", headers={**again, "Cookie": f"session={jar.token}"}).status_code == 304
    token = jar.token
    jar.post("/logout")
    late = site.jar().get("/me", headers={**again, "Cookie": f"session={token}"})
    assert said(late)["user"] is None


@requirement(
    "ASVS 4.0 3.3.2",
    "NIST 2.1.3 AAL1",
    "NIST 2.2.3 AAL2",
    "NIST 2.3.3 AAL3",
    says="The profiles have the limits of the standards, to the second.",
    mutants=[planted.one_profile_for_all, planted.a_second_too_long],
)
@pytest.mark.kinds("memory")
def test_the_profiles_have_the_limits_of_the_standards(place: str, site_on: SiteOn) -> None:
    """A session in use lives a second before the idle and the absolute limit, and is over a second after it.

    After the idle limit of AAL2 no session is resumed: NIST allows that, and Holdfast is stricter.
    """
    limits = {
        "asvs-l1": (30 * DAY, 30 * DAY),
        "asvs-l2": (30 * MINUTE, 12 * HOUR),
        "asvs-l3": (15 * MINUTE, 12 * HOUR),
        "nist-aal1": (30 * DAY, 30 * DAY),
        "nist-aal2": (HOUR, 24 * HOUR),
        "nist-aal3": (15 * MINUTE, 12 * HOUR),
    }
    for profile, (idle, absolute) in limits.items():
        site = site_on(place, SESSION_PROFILE=profile, SESSION_SEAL_KEYS=[new_key()], SESSION_MAX_PER_USER=10)
        used, young, unused = site.jars("ada", 3)
        site.clock.advance(idle - 1)
        assert (young.me(), used.me()) == ("ada", "ada"), profile
        site.clock.advance(2)
        assert unused.me() is None, profile
        assert unused.post("/sudo").status_code == 401
        elapsed = idle + 1
        while elapsed + idle // 2 < absolute:
            site.clock.advance(idle // 2)
            elapsed += idle // 2
            assert used.me() == "ada", profile
        if elapsed < absolute:
            site.clock.advance(absolute - 1 - elapsed)
            assert used.me() == "ada", profile
            site.clock.advance(2)
        assert used.me() is None, profile


@requirement(
    "ASVS 4.0 3.4.5",
    says="On a shared host the cookie has the path of the application.",
    mutants=[bugs.bare_deletion],
)
@pytest.mark.kinds("memory")
def test_the_path_is_the_application_s(place: str, site_on: SiteOn) -> None:
    """Below a path of its own the application's cookie and its deletion have that path. ``__Host-`` keeps the root."""
    below = site_on(place, APPLICATION_ROOT="/app", SESSION_COOKIE_NAME="__Secure-id", SESSION_COOKIE_SECURE=True)
    root = site_on(place, SESSION_PROFILE="asvs-l1")
    for site, path in ((below, "/app"), (root, "/")):
        jar = site.jar()
        sent = values_set(jar.login("ada"), site.cookie_name) + values_set(jar.post("/logout"), site.cookie_name)
        assert [attributes(header)["path"] for header in sent] == [path, path]


@requirement(
    "ASVS 4.0 1.11.2",
    "ASVS 4.0 1.11.3",
    says="Concurrent requests lose no change and use no outdated check.",
    mutants=[planted.writes_over],
)
def test_no_increment_is_lost(place: str, site_on: SiteOn) -> None:
    """Forty increments by eight threads in two processes are all counted, and a key that each thread sets stays."""
    site = site_on(place)
    worker = site.worker()
    [jar] = site.jars("ada", 1)

    def job(number: int) -> None:
        mine = jar.at((site, worker)[number % 2])
        mine.post("/set", k=f"key{number}", v="v")
        for _ in range(5):
            mine.inc()

    together(*(lambda number=number: job(number) for number in range(8)))
    assert jar.told("/me")["n"] == 40
    kept = said(jar.post("/set", k="last", v="v"))["data"]
    assert {f"key{number}" for number in range(8)} <= kept.keys()
    slow = jar.copy()
    site.meanwhile = jar.inc
    assert slow.get("/slow").status_code == 200
    assert jar.told("/me")["n"] == 41


@requirement(
    "ASVS 4.0 1.11.3",
    says="A session that ends during a request stays ended.",
    mutants=[saves_what_is_gone],
)
def test_a_logout_in_the_middle_of_a_request_stands(place: str, site_on: SiteOn) -> None:
    """The slow request's change is dropped, its response has no cookie, and no record is left in the store."""
    site = site_on(place)
    [jar] = site.jars("ada", 1)
    slow, copy = jar.copy(), jar.copy()
    site.meanwhile = lambda: jar.post("/logout")
    response = slow.get("/slow")
    assert response.status_code == 200
    assert not response.headers.getlist("Set-Cookie")
    assert (copy.me(), site.count()) == (None, 0)
    assert "gone" in site.names()


@requirement(
    "ASVS 4.0 5.1.1",
    "ASVS 4.0 5.1.3",
    "ASVS 15.3.7",
    "OWASP id as user input",
    "OWASP multiple cookies",
    "RFC 6265bis 4.2.2",
    "RFC 6265bis 8.4-8.6",
    says="Only one well-formed token reaches the store.",
    mutants=[any_shape_is_looked_up, planted.takes_the_first],
)
@pytest.mark.kinds("memory")
def test_only_one_token_of_the_right_form_reaches_the_store(place: str, site_on: SiteOn) -> None:
    """Paths, commands, operators, control characters and other alphabets cause no store call; two sessions are none."""
    site = site_on(place)
    ada, eve = (jar.token or "" for jar in (*site.jars("ada", 1), *site.jars("eve", 1)))
    malformed = [
        "../../../../etc/passwd", "C:\\CON", "%2e%2e%2f", "' OR 1=1--", "x\r\nflush_all", '{"$ne":null}', "[$ne]=x",
        "*", "\x00", "\x7f", "é" * 43, "\uff2b" * 43, "A" * 42, "A" * 44, "A" * 42 + "B", ada + "=", ada[:42] + "B",
        ada + "\n", "-" * 43 + "!", "0" * 250, "A" * 5000, '"\\101\\102"',
    ]  # fmt: skip
    headers = [f"session={value}" for value in malformed]
    headers += ["; ".join(headers)]
    two = [f"session={ada}; session={eve}", f"session={eve}; a=b; session={ada}"]
    assert {site.jar().told("/me", headers={"Cookie": header})["user"] for header in two} == {None}
    with site.calls() as calls:
        found = [
            site.jar().told("/me", environ_overrides={"HTTP_COOKIE": header.encode().decode("latin-1")})
            for header in headers
        ]
    assert {each["user"] for each in found} == {None}
    assert calls == {}
    same = site.jar().told("/me", headers={"Cookie": f"session={ada}; session={ada}"})
    assert same["user"] == "ada"


@requirement(
    "ASVS 4.0 7.2.1",
    "OWASP lifecycle logging",
    says="Each step of a session's life is signalled, with a name that correlates them and is not the token.",
    mutants=[planted.says_little, planted.handles_at_random, bugs.keys_are_tokens],
)
def test_a_life_is_told_step_by_step(place: str, site_on: SiteOn) -> None:
    """A beginning, a rotation, a login, a rejection, a logout and a revocation are signalled, by handle."""
    site = site_on(place)
    jar = site.jar()
    steps: list[Callable[[], Any]] = [
        lambda: jar.post("/set", k="a", v="b"),
        lambda: jar.post("/rotate"),
        lambda: jar.login("ada"),
        lambda: site.jar(STRANGER).me(),
        lambda: site.sessions.revoke(jar.told("/me")["handle"]),
        lambda: jar.login("ada"),
        lambda: jar.post("/logout"),
    ]
    with site.app.app_context():
        for step in steps:
            step()
    tokens = {header.partition("=")[2].partition(";")[0] for header in site.cookies_seen} - {""}
    told = [(name, details.get("reason"), details.get("handle")) for name, details in site.heard]
    assert [(name, reason) for name, reason, _ in told] == [
        ("created", None),
        ("rotated", None),
        ("rotated", None),
        ("bound", None),
        ("rejected", "unknown_id"),
        ("ended", "revoked"),
        ("rejected", "unknown_id"),
        ("created", None),
        ("bound", None),
        ("ended", "logout"),
    ]
    handles = [handle for _, _, handle in told]
    assert handles[2] == handles[3] == handles[5]
    assert handles[7] == handles[8] == handles[9]
    assert site.heard[1][1]["previous"] == handles[0]
    assert not tokens & set(handles)


@requirement(
    "ASVS 4.0 8.1.3",
    says="The browser gets exactly one cookie.",
    mutants=[planted.one_more_cookie],
)
@pytest.mark.kinds("memory")
def test_there_is_one_cookie(place: str, site_on: SiteOn) -> None:
    """With flashes and CSRF secrets in the session, there is still one cookie."""
    site = site_on(place)

    @site.app.get("/form")
    def form() -> str:
        from flask_wtf.csrf import generate_csrf

        flash("hello")
        session.permanent = True
        return str(generate_csrf())

    jar = site.jar()
    jar.get("/form")
    jar.login("ada")
    assert jar.cookies.keys() == {"session"}
