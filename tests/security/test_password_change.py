"""After a password change, and after a theft is noticed, no older session of the user lives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from security.rows import advisory
from security.steps import WebOn, meddling, sign_in, signed_in, who
from support import seams
from support.everywhere import INDEXED
from support.web import Web, cookies_set, rotate

from holdfast import events
from holdfast.flask import session
from holdfast.records.record import Record
from holdfast.sessions.flows import ending
from holdfast.sessions.ops import delete, keys_of, load

pytestmark = pytest.mark.kinds(*INDEXED)


def ends_only_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password change does not end the user's other sessions."""

    def revoke_all(context: object, owner: str, *, keep: str | None = None) -> Any:
        yield from ()
        return 0

    seams.REVOKE_ALL.plant(monkeypatch, revoke_all)


def ends_what_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sessions that the index lists at one moment are deleted, without a cut-off."""

    def revoke_all(context: object, owner: str, *, keep: str | None = None) -> Any:
        ended = 0
        for key in list((yield from keys_of(owner))):
            record = yield from load(key)
            if record is not None and record.owner == owner and key != keep and (yield from delete(key)):
                ended += 1
        return ended

    seams.REVOKE_ALL.plant(monkeypatch, revoke_all)


def ignores_the_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login does not check whether the user's sessions were ended during it."""

    def ended_meanwhile(*_: object) -> Any:
        yield from ()
        return False

    seams.CUT_OFF_AFTER_LOGIN.plant(monkeypatch, ended_meanwhile)


def ends_the_kept_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session of the password change ends with the others."""
    sound = ending.revoke_all
    seams.REVOKE_ALL.plant(monkeypatch, lambda context, owner, **_: sound(context, owner))


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
    mutants=[ends_only_its_own, ends_the_kept_one_too],
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


#: Requests that may overlap a password change: what they do, and from what kind of browser they come.
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
    mutants=[ends_what_is_listed_once, ignores_the_cut_off],
)
def test_no_login_or_rotation_slips_through_a_password_change(place: str, web_on: WebOn) -> None:
    """If one comes between any two steps of the other, no session that began before the change lives."""
    web, store = meddling(web_on, place)
    change = partial(web.sessions.manager.revoke_all, "ada")

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


def keeps_quiet_about_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A superseded id is refused without a signal to the application."""
    seams.SUPERSEDED_RECEIVERS.plant(monkeypatch, lambda sender: ())


def loses_the_track(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a session by an earlier id ends no session."""

    def follow(key: str, record: Record | None) -> Any:
        yield from ()
        return (key, record) if record is not None and record.owner is not None else None

    seams.FOLLOW_ON_END.plant(monkeypatch, follow)


def lets_the_old_id_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rotation the old id leads to the new one."""
    sound = seams.ROTATE_PLAN.sound
    seams.ROTATE_PLAN.plant(monkeypatch, lambda *args, **_: sound(*args, renewal=True))


@advisory(
    "CVE-2026-56750",
    product="Gitea",
    cause="The reuse of a replaced token was noticed, and the thief's session was kept.",
    mutants=[keeps_quiet_about_reuse, loses_the_track, lets_the_old_id_work],
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
