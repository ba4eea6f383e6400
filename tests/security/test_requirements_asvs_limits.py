"""ASVS 5.0, chapter V7, on limits, freshness and administration, with what other standards ask alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from security import planted_requirements_asvs_limits as planted
from security.rows import requirement
from support.application import Site
from support.everywhere import INDEXED

from holdfast.testing.concurrency import together

SiteOn = Callable[..., Site]


# --- what is written down ---------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.1.1",
    says="The idle and the absolute timeout in force are documented.",
    mutants=[planted.limits_unsaid, planted.any_limit_will_do],
)
@pytest.mark.kinds("memory")
def test_the_doctor_prints_both_limits(place: str, site_on: SiteOn) -> None:
    """``flask sessions doctor`` names both timeouts, and fails an application whose timeouts are too long."""
    good = site_on(place, SESSION_PROFILE="asvs-l2")
    long = site_on(place, SESSION_PROFILE="asvs-l2", SESSION_ABSOLUTE_LIFETIME=13 * 3600)
    told = good.app.test_cli_runner().invoke(args=["sessions", "doctor"]).output
    assert "30 minutes; at most 30 minutes" in told
    assert "12 hours; at most 12 hours" in told
    result = long.app.test_cli_runner().invoke(args=["sessions", "doctor"])
    assert result.exit_code == 1
    assert "13 hours; at most 12 hours" in result.output
    assert "SESSION_ABSOLUTE_LIFETIME" in result.output


# --- how many ---------------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.1.2",
    "OWASP simultaneous logons",
    says="A user has no more sessions at once than the settings allow, and a setting defines the reaction to more.",
    mutants=[planted.no_limit],
)
@pytest.mark.kinds(*INDEXED)
def test_a_user_has_no_more_sessions_than_allowed(place: str, site_on: SiteOn) -> None:
    """At the limit the oldest session ends, or the login is answered 409 and leaves no record."""
    evicts = site_on(place, SESSION_MAX_PER_USER=2)
    jars = []
    for _ in range(3):
        evicts.clock.advance(1)
        jars += evicts.jars("ada", 1)
    assert [jar.me() for jar in jars] == [None, "ada", "ada"]
    refuses = evicts.worker(SESSION_ON_MAX_PER_USER="refuse")
    before = evicts.count()
    refused = refuses.jar()
    assert refused.login("ada").status_code == 409
    assert (refused.token, evicts.count()) == (None, before)


@requirement(
    "ASVS 7.1.2",
    says="Concurrent logins do not exceed the limit.",
    mutants=[planted.no_limit],
)
@pytest.mark.kinds("memory", "sqlite", "redis", "mongodb", "mariadb", "postgresql")
def test_logins_at_once_stay_within_the_limit(place: str, site_on: SiteOn) -> None:
    """Of eight concurrent logins at most three sessions are left."""
    site = site_on(place, SESSION_MAX_PER_USER=3)
    jars = [site.jar() for _ in range(8)]
    together(*(lambda jar=jar: jar.login("ada") for jar in jars))
    left = [jar for jar in jars if jar.me() == "ada"]
    assert 1 <= len(left) <= 3
    assert len(left[0].sessions()) == len(left)


# --- freshness --------------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.5.1",
    "ASVS 4.0 3.7.1",
    says="Sensitive changes need a recent authentication, which gives a new token.",
    mutants=[planted.always_fresh, planted.fresh_since_the_last_request],
)
def test_a_sensitive_view_needs_a_fresh_proof(place: str, site_on: SiteOn) -> None:
    """After 301 seconds of use the view answers 401 until the user authenticates again, which changes the token."""
    site = site_on(place)
    assert site.jar().get("/secret").status_code == 401
    [jar] = site.jars("ada", 1)
    answers = [jar.get("/secret").status_code]
    for _ in range(3):
        site.clock.advance(100)
        jar.inc()
        answers.append(jar.get("/secret").status_code)
    site.clock.advance(1)
    answers.append(jar.get("/secret").status_code)
    old = jar.copy()
    jar.post("/sudo")
    answers.append(jar.get("/secret").status_code)
    assert answers == [200, 200, 200, 200, 401, 200]
    assert (old.me(), jar.me()) == (None, "ada")
    assert old.get("/secret").status_code == 401


@requirement(
    "ASVS 4.0 3.7.1",
    says="A login that is not complete gives no access.",
    mutants=[planted.half_open_is_enough],
)
def test_half_a_login_is_none(place: str, site_on: SiteOn) -> None:
    """Data that a view stores before the second factor makes the session neither bound nor fresh."""
    site = site_on(place)
    jar = site.jar()
    jar.post("/set", k="mfa_pending", v="ada")
    assert jar.me() is None
    assert jar.get("/secret").status_code == 401
    jar.login("ada")
    assert jar.me() == "ada"
    assert jar.get("/secret").status_code == 200


@requirement(
    "ASVS 7.5.3",
    says="A highly sensitive action needs its own authentication.",
    mutants=[planted.good_for_any_number],
)
def test_a_proof_is_good_for_one_action(place: str, site_on: SiteOn) -> None:
    """Of two concurrent requests one pays; the next needs another authentication."""
    site = site_on(place)
    [jar] = site.jars("ada", 1)
    for _ in range(2):
        twin = jar.copy()
        codes = together(*(lambda one=one: one.post("/pay").status_code for one in (jar, twin)))
        assert sorted(codes) == [200, 401]
        assert jar.post("/pay").status_code == 401
        jar.post("/sudo")


# --- administration ---------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.4.5",
    says="Administrators can end the sessions of one user, and of all users.",
    mutants=[planted.ends_nobody_s],
)
@pytest.mark.kinds(*INDEXED)
def test_an_administrator_ends_sessions(place: str, site_on: SiteOn) -> None:
    """``flask sessions revoke`` ends the sessions that it reports, and each browser's next request is anonymous."""
    site = site_on(place)
    ada, bob = site.jars("ada", 3), site.jars("bob", 2)

    def run(*arguments: str) -> str:
        site.clock.advance(1)
        return site.app.test_cli_runner().invoke(args=["sessions", "revoke", *arguments]).output

    assert "Ended 3 sessions" in run("--user", "ada")
    assert [jar.me() for jar in (*ada, *bob)] == [None, None, None, "bob", "bob"]
    assert "Ended 2 sessions" in run("--all", "--yes")
    assert [jar.me() for jar in bob] == [None, None]
