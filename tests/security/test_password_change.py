"""After a password change, and after a theft is noticed, no older session of the user lives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from security import planted_password_change as planted
from security.rows import advisory
from security.steps import WebOn, meddling, sign_in, signed_in, who
from support.everywhere import INDEXED
from support.web import Web, cookies_set, rotate

from holdfast import events
from holdfast.flask import session
from holdfast.sessions.ends import ends

pytestmark = pytest.mark.kinds(*INDEXED)


@advisory(
    "CVE-2019-10641",
    "CVE-2022-23502",
    "CVE-2021-41268",
    "CVE-2023-40273",
    "CVE-2026-34828",
    "CVE-2026-27575",
    "CVE-2022-3362",
    product="Contao, TYPO3, Symfony, Airflow, listmonk, Vikunja, rdiffweb",
    cause="The user's other sessions survived a password change.",
    mutants=[planted.ends_only_its_own, planted.ends_the_kept_one_too],
)
def test_a_password_change_ends_all_other_sessions(place: str, web_on: WebOn) -> None:
    """The session of the change continues, the user's others end, and other users' do not."""
    web = web_on(place)
    mine, *others = (signed_in(web) for _ in range(4))
    bob = signed_in(web, "bob")

    def change_password() -> int:
        return web.sessions.revoke_all("ada", keep=session.handle)

    assert web.see(change_password, mine) == 3
    assert [who(web, browser) for browser in others] == [None] * 3
    assert who(web, mine) == "ada"
    assert who(web, bob) == "bob"


def _stranger(web: Web) -> FlaskClient:
    return web.app.test_client()


def _visitor(web: Web) -> FlaskClient:
    browser = web.app.test_client()
    web.put(browser, cart=[1])
    return browser


#: Requests that may overlap a password change: their actions, and their browsers.
_OVERLAPPING: dict[str, tuple[Callable[[Web], FlaskClient], Callable[[], Any]]] = {
    "first login": (_stranger, sign_in("ada", who="ada")),
    "visitor's login": (_visitor, sign_in("ada", who="ada")),
    "rotation": (signed_in, rotate),
    "save": (signed_in, lambda: session.update(a=1)),
}


@advisory(
    "CVE-2023-40273",
    "CVE-2026-27575",
    product="Airflow, Vikunja",
    cause="Sessions of the user survived a password change.",
    mutants=[planted.ends_what_is_listed_once, planted.ignores_the_cut_off],
)
def test_no_login_or_rotation_slips_through_a_password_change(place: str, web_on: WebOn) -> None:
    """If one comes between any two steps of the other, no session that began before the change lives."""
    web, store = meddling(web_on, place)
    change = partial(ends(web.sessions.manager).revoke_all, "ada")

    for name, (browser_of, view) in _OVERLAPPING.items():
        for change_is_inside in (True, False):
            for moment in itertools.count(1):
                browser = browser_of(web)
                request = partial(web.do, partial(_look_and, view), browser)
                inner, outer = (change, request) if change_is_inside else (request, change)
                store.at(moment, inner)
                outer()
                web.clock.advance(1)
                if not store.was_reached():
                    break
                assert who(web, browser) is None, (name, change_is_inside, moment)
                assert web.sessions.of("ada") == [], (name, change_is_inside, moment)
    newcomer = signed_in(web)
    assert who(web, newcomer) == "ada"


def _look_and(view: Callable[[], Any]) -> None:
    session.get("who")
    view()


# --- a theft is noticed ----------------------------------------------------------------------------------------------


@advisory(
    "CVE-2026-56750",
    product="Gitea",
    cause="The reuse of a replaced token was noticed, and the thief's session was kept.",
    mutants=[planted.keeps_quiet_about_reuse, planted.loses_the_track, planted.lets_the_old_id_work],
)
def test_reuse_of_a_replaced_id_can_end_the_whole_session(place: str, web_on: WebOn) -> None:
    """The old id opens no session, the signal has its handle, and ending that handle ends the session's successor."""
    for change in (rotate, sign_in("ada", who="ada")):
        web = web_on(place)
        victim = signed_in(web)
        thief = web.with_token(web.token(victim))
        web.do(change, thief)

        def end_the_family(sender: object, handle: str, web: Web = web, **_: object) -> None:
            web.sessions.revoke(handle)

        assert who(web, thief) == "ada"
        with events.superseded.connected_to(end_the_family, sender=web.app):
            assert who(web, victim) is None
        assert who(web, thief) is None
        assert not cookies_set(web.do(lambda: session.get("who"), thief))
        assert web.sessions.of("ada") == []
