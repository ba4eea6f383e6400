"""A token of one application, site or tenant opens no session at another, even with shared parts."""

from __future__ import annotations

from typing import Any

import pytest
from security import planted_namespaces as planted
from security.bugs import no_namespace
from security.rows import advisory
from security.steps import WebOn, another, signed_in, who
from support.everywhere import INDEXED
from support.web import Web, cookies_set

from holdfast.flask import session
from holdfast.records.tokens import Keys


def _sites(place: str, web_on: WebOn, **config: Any) -> tuple[Web, Web]:
    """Return two applications that share a store, a secret key and the name of their cookie."""
    first = web_on(place, SESSION_KEY_PREFIX="a:", **config)
    return first, another(first, web_on, place, SESSION_KEY_PREFIX="b:", **config)


@advisory(
    "CVE-2022-46170",
    "CVE-2023-47127",
    "CVE-2021-41263",
    "CVE-2020-17526",
    product="CodeIgniter, TYPO3, rails_multisite, Airflow",
    cause="A cookie of one site or application was valid at another that shared its key or its store.",
    mutants=[no_namespace],
)
def test_a_cookie_of_one_application_opens_nothing_at_another(place: str, web_on: WebOn) -> None:
    """Two applications on one store do not accept each other's ids, with or without the same signing key."""
    for signed in (False, True):
        here, there = _sites(place, web_on, SESSION_USE_SIGNER=signed)
        browser = signed_in(here)
        token = here.token(browser)
        visitor = there.with_token(token)
        assert there.data(visitor) == {}
        (header,) = cookies_set(there.put(visitor, a=1))
        assert str(token) not in header
        assert who(here, browser) == "ada"


@advisory(
    "CVE-2022-46170",
    product="CodeIgniter",
    cause="Two session cookies of one application shared a backend, and their ids could be exchanged.",
    mutants=[no_namespace],
)
def test_two_cookies_of_one_browser_are_not_exchanged(place: str, web_on: WebOn) -> None:
    """The value of one session cookie, sent under the name of another, opens no session."""
    shop = web_on(place)
    admin = another(shop, web_on, place, SESSION_KEY_PREFIX="admin:", SESSION_COOKIE_NAME="admin")
    token = shop.token(signed_in(shop, "ada"))
    assert admin.send(f"admin={token}; session={token}", lambda: str(session.get("who"))).text == "None"


@advisory(
    "CVE-2022-46170",
    product="CodeIgniter",
    cause="The ids of one kind of session were not separated from those of another.",
    mutants=[planted.joins_names_without_lengths],
)
def test_names_and_tokens_do_not_run_together() -> None:
    """No namespace is a part of another's token: moving a character between them gives another key."""
    token = "ab" + "A" * 41
    assert Keys("x").key_of("y" + token) != Keys("xy").key_of(token)
    assert Keys("").key_of("x" + token) != Keys("x").key_of(token)


@advisory(
    "CVE-2021-41263",
    "CVE-2023-47127",
    product="rails_multisite, TYPO3",
    cause="A user id of one site was accepted as the same user at another.",
    mutants=[no_namespace, planted.shares_the_owners],
)
@pytest.mark.kinds(*INDEXED)
def test_a_user_of_one_application_is_nobody_at_another(place: str, web_on: WebOn) -> None:
    """Listing and ending the sessions of user 1 of one application does not affect those of user 1 of another."""
    here, there = _sites(place, web_on)
    browser = signed_in(here, "1")
    assert there.sessions.of("1") == []
    there.sessions.revoke_all("1")
    assert who(here, browser) == "1"
    assert len(here.sessions.of("1")) == 1
