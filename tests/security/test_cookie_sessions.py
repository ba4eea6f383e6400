"""Sessions in the cookie end, if a store keeps revocations."""

from __future__ import annotations

import itertools
import logging
import secrets
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from security import planted_cookie_sessions as planted
from security.bugs import says_nothing_of_cookie_sessions
from security.rows import advisory
from security.steps import LOGOUTS, WRITES, Meddler, WebOn, signed_in, who
from support.web import Web, cookies_set, end

from holdfast import open_store
from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.records.encryption import new_key

DAY = 24 * 3600
KEY = new_key()


def _in_cookies(web_on: WebOn, place: str, **config: Any) -> tuple[Web, Meddler]:
    """Return an application with its sessions in cookies, and the meddler around its store for revocations.

    Its namespace is its own: its revocations would affect every test on a shared server.
    """
    namespace = f"{secrets.token_hex(8)}:"
    settings = {"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [KEY], "SESSION_KEY_PREFIX": namespace, **config}
    web = web_on(lambda clock: Meddler(open_store(place, clock=clock)), setting="SESSION_REVOCATION_STORE", **settings)
    return web, web.memory


def _alone(web_on: WebOn, **config: Any) -> Web:
    """Return an application with its sessions in cookies, without a store for revocations."""
    settings = {"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [KEY], **config}
    return web_on("memory://", setting="A_STORE_THAT_IS_NOT_USED", **settings)


@advisory(
    "CVE-2024-31999",
    "CVE-2025-53826",
    "Superset 2025, stateless sessions",
    product="@fastify/secure-session, File Browser, Superset",
    cause="The session was in the cookie, so a copy of it worked after the logout.",
    mutants=[planted.forgets_in_the_browser_only, planted.believes_the_cookie],
)
def test_a_copied_cookie_session_ends_with_the_logout(place: str, web_on: WebOn) -> None:
    """With a store for revocations, every copy and every earlier state of the cookie is invalid after it."""
    web, _ = _in_cookies(web_on, place)
    for way, logout in LOGOUTS.items():
        browser = signed_in(web)
        tokens = [web.token(browser)]
        web.put(browser, a=1)
        tokens.append(web.token(browser))
        web.do(logout, browser)
        assert [who(web, web.with_token(token)) for token in tokens] == [None, None], way


@advisory(
    "CVE-2025-46336",
    "CVE-2021-41247",
    product="rack-session, JupyterHub",
    cause="A request that ran during a logout gave the browser its session back.",
    mutants=[planted.forgets_in_the_browser_only],
)
@pytest.mark.kinds("memory", "sqlite", "redis")
def test_no_request_in_flight_brings_a_cookie_session_back(place: str, web_on: WebOn) -> None:
    """If a logout comes between any two lookups of a request, the cookie that the request sends opens no session."""
    web, store = _in_cookies(web_on, place)
    for way, write in WRITES.items():
        accepted = 0
        for moment in itertools.count(2):
            browser = signed_in(web, cart=[1])
            token = web.token(browser)
            web.clock.advance(4 * DAY)
            logout: list[Any] = []
            store.at(moment, partial(_log_out, logout, web, web.with_token(token)))
            web.do(partial(_load_and, write), browser)
            if not store.was_reached():
                break
            if cookies_set(logout[0]):
                accepted += 1
                assert who(web, browser) is None, way
                assert who(web, web.with_token(token)) is None, way
        assert accepted, way


def _log_out(responses: list[Any], web: Web, browser: FlaskClient) -> None:
    responses.append(web.do(end, browser))


def _load_and(write: Any) -> None:
    session.get("who")
    write()


@advisory(
    "CVE-2024-31999",
    "Superset 2025, stateless sessions",
    product="@fastify/secure-session, Superset",
    cause="The documentation did not say that sessions were in the cookie, so that a logout did not end them.",
    mutants=[says_nothing_of_cookie_sessions, planted.pretends_to_revoke],
)
def test_without_a_store_for_revocations_none_is_promised(web_on: WebOn, caplog: pytest.LogCaptureFixture) -> None:
    """The log says at start-up that a logout ends a session in its browser only, and revoking is an error."""
    with caplog.at_level(logging.WARNING, "holdfast"):
        web = _alone(web_on)
    assert "a logout ends a session in its browser only" in caplog.text
    handle = web.see(lambda: session.handle, signed_in(web))
    for call in (partial(web.sessions.revoke, handle), partial(web.sessions.revoke_all, "ada")):
        with pytest.raises(ConfigurationError, match="SESSION_REVOCATION_STORE"):
            call()


@advisory(
    "CVE-2018-1000814",
    product="aiohttp-session",
    cause="Only the browser enforced the age of an encrypted cookie, so that a copied one worked for ever.",
    mutants=[planted.does_not_look_at_the_age],
)
@advisory(
    "CVE-2022-2888",
    product="OctoPrint",
    cause="A session in use never expired.",
    mutants=[planted.begins_anew_with_each_cookie, planted.does_not_look_at_the_age],
)
def test_a_cookie_session_ends_in_time(web_on: WebOn) -> None:
    """A cookie older than the idle timeout opens no session, and daily use does not outlast the absolute timeout."""
    web = _alone(web_on, SESSION_PERMANENT=True)
    browser = signed_in(web)
    kept = web.token(browser)
    for number in range(1, 20):
        web.clock.advance(21 * DAY)
        web.put(browser, seen=web.clock())
        assert who(web, browser) == "ada"
        assert who(web, web.with_token(kept)) == ("ada" if number == 1 else None)
    web.clock.advance(DAY)
    assert who(web, browser) is None


@advisory(
    "CVE-2023-47127",
    "CVE-2020-17526",
    "CVE-2022-46170",
    product="TYPO3, Airflow, CodeIgniter",
    cause="A cookie of one site was valid at another with the same key.",
    mutants=[planted.binds_cookies_to_nothing],
)
def test_a_cookie_session_of_one_application_opens_nothing_at_another(web_on: WebOn) -> None:
    """With the same keys, another key prefix or another cookie name makes a separate application."""
    here = _alone(web_on)
    token = here.token(signed_in(here))
    for config in ({"SESSION_KEY_PREFIX": "b:"}, {"SESSION_COOKIE_NAME": "admin"}):
        there = _alone(web_on, **config)
        assert there.data(there.with_token(token)) == {}
        assert there.reasons() == ["bad_signature"]
    assert who(here, here.with_token(token)) == "ada"


@advisory(
    "CVE-2019-10641",
    "CVE-2022-3362",
    product="Contao, rdiffweb",
    cause="The user's other sessions survived a password change.",
    mutants=[planted.believes_the_cookie],
)
def test_a_password_change_ends_all_other_cookie_sessions(place: str, web_on: WebOn) -> None:
    """The session of the change continues, the user's others end, and later logins work."""
    web, _ = _in_cookies(web_on, place)
    mine, other = signed_in(web), signed_in(web)
    bob = signed_in(web, "bob")
    web.clock.advance(1)
    web.do(lambda: str(web.sessions.revoke_all("ada", keep=session.handle)), mine)
    assert [who(web, browser) for browser in (mine, other, bob)] == ["ada", None, "bob"]
    web.clock.advance(1)
    assert who(web, signed_in(web)) == "ada"
