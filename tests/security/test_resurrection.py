"""A session that has ended stays ended, whatever is still running."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from flask.testing import FlaskClient
from security import planted_resurrection as planted
from security.bugs import saves_what_is_gone
from security.rows import advisory
from security.steps import WRITES, WebOn, meddling, signed_in, who
from support.web import STRANGER, Web, cookies_set, end

from holdfast.flask import session

DAY = 24 * 3600


def _collect(responses: list[Any], web: Web, browser: FlaskClient) -> None:
    responses.append(web.do(end, browser))


def _load_and(write: Callable[[], Any]) -> None:
    session.get("who")
    write()


@advisory(
    "CVE-2025-46336",
    "CVE-2025-32441",
    product="rack-session, rack",
    cause="A request that ran during a logout wrote its session back at its end.",
    mutants=[
        planted.saves_blindly,
        saves_what_is_gone,
        planted.rotates_what_is_gone,
        planted.revives_by_touching,
        planted.answers_with_the_old_cookie,
    ],
)
def test_no_request_in_flight_undoes_a_logout(place: str, web_on: WebOn) -> None:
    """If a logout comes between any two steps of a request, no session is left, and the response has no cookie."""
    web, store = meddling(web_on, place)
    for way, write in WRITES.items():
        accepted = 0
        for moment in itertools.count(2):  # the first is before the request has loaded its session
            browser = signed_in(web, cart=[1])
            web.clock.advance(4 * DAY)  # so that reading moves the idle timeout on
            logout: list[Any] = []
            store.at(moment, partial(_collect, logout, web, web.with_token(web.token(browser))))
            web.take_heard()
            response = web.do(partial(_load_and, write), browser)
            if not store.was_reached():
                web.do(end, browser)
                break
            if "superseded" in web.names():  # it came after a rotation: the request had done all that it does
                web.do(end, browser)
                continue
            accepted += 1
            assert store.sessions() == set(), way
            assert not cookies_set(response), way
            assert who(web, browser) is None, way
        assert accepted, way


@advisory(
    "CVE-2025-46336",
    product="rack-session",
    cause="The application was not notified that a change was lost.",
    mutants=[planted.drops_in_silence],
)
def test_a_dropped_change_is_reported(web_on: WebOn) -> None:
    """The signal `gone` reports a change that was dropped because the session ended meanwhile."""
    web = web_on("memory://")
    browser = signed_in(web)
    web.take_heard()

    def view() -> None:
        session["a"] = 1
        web.do(end, web.with_token(web.token(browser)))

    web.do(view, browser)
    assert "gone" in web.names()


@advisory(
    "CVE-2013-10075",
    product="Apache::Session",
    cause="Opening a session that did not exist created it.",
    mutants=[planted.creates_on_load],
)
def test_looking_up_an_unknown_id_makes_nothing(place: str, web_on: WebOn) -> None:
    """After requests with ids that were not issued, the store is unchanged."""
    web, store = meddling(web_on, place)
    signed_in(web)
    before = store.alive()
    for number in range(5):
        stranger = web.with_token(STRANGER[:-2] + f"{number}A")
        assert web.calls(lambda: session.get("who"), stranger) == {"load": 1}
        assert web.data(stranger) == {}
    assert store.alive() == before


@advisory(
    "CVE-2021-41247",
    product="JupyterHub",
    cause="Another tab that was open during the logout gave the browser its credentials back.",
    mutants=[planted.begins_anew_when_gone, planted.answers_with_the_old_cookie, saves_what_is_gone],
)
def test_the_other_tabs_do_not_undo_a_logout(place: str, web_on: WebOn) -> None:
    """Of twenty requests during a logout, all with one cookie jar, none leaves the browser signed in."""
    web, store = meddling(web_on, place)
    browser = signed_in(web, cart=[1])
    token = web.token(browser)
    ways = [*WRITES.values()] * 3

    def tab(number: int) -> Any:
        def view() -> None:
            session.get("who")
            follow = tab(number + 1) if number < 20 else end
            web.do(follow, web.with_token(token) if number < 20 else browser)
            ways[number]()

        return view

    responses = web.do(tab(0), web.with_token(token))
    assert not cookies_set(responses)
    assert who(web, browser) is None
    assert store.alive() == set()
