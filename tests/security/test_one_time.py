"""A single-use value is used once, and a user's session is ended by that user."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from security import planted_one_time as planted
from security.rows import advisory
from security.steps import WebOn, meddling, signed_in, who
from support.everywhere import INDEXED
from support.web import Web

from holdfast.contrib.devices_page import devices_page
from holdfast.contrib.pages.forms import FIELD, form_token
from holdfast.flask import session

#: How many requests want the value.
MANY = 100


@advisory(
    "CVE-2026-33624",
    "CVE-2026-34224",
    "CVE-2026-45720",
    "CVE-2026-3590",
    product="Parse Server, Omni, Mattermost",
    cause="A one-time code or token was looked up and then deleted, so that two concurrent requests both got it.",
    mutants=planted.GIVEN_OUT_TWICE,
)
def test_of_a_hundred_requests_one_has_the_value(place: str, web_on: WebOn) -> None:
    """A hundred requests that have all read the value pop it, and one gets it."""
    web = web_on(place)
    browser = signed_in(web, code="1234")
    token = web.token(browser)
    all_have_seen_it = threading.Barrier(MANY)

    def view() -> str:
        assert session["code"] == "1234"
        all_have_seen_it.wait(20)
        return str(session.pop_once("code", None))

    path = web.path(view)
    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda _: web.with_token(token).get(path).text, range(MANY)))
    assert sorted(answers) == ["1234"] + ["None"] * (MANY - 1)
    assert web.data(browser) == {"_user_id": "ada", "who": "ada"}


@advisory(
    "CVE-2026-33624",
    "CVE-2026-34224",
    product="Parse Server",
    cause="A second request could use a code between its lookup and its deletion.",
    mutants=planted.GIVEN_OUT_TWICE,
)
def test_no_moment_lets_a_second_request_have_it(place: str, web_on: WebOn) -> None:
    """If a second request comes between any two steps of the first, exactly one of the two gets the value."""
    web, store = meddling(web_on, place)
    for moment in itertools.count(2):  # before the first, the request has not begun
        browser = signed_in(web, code="1234")
        had: list[Any] = []
        pop = partial(_pop, had)
        store.at(moment, partial(web.do, pop, web.with_token(web.token(browser))))
        web.do(pop, browser)
        if not store.was_reached():
            break
        assert sorted(had, key=str) == ["1234", None]


def _pop(had: list[Any]) -> None:
    session.get("code")
    had.append(session.pop_once("code", None))


# --- whose session it is ---------------------------------------------------------------------------------------------


@advisory(
    "CVE-2017-18878",
    product="Mattermost",
    cause="A client that knew the id of a session could end it, even another user's.",
    mutants=[planted.ends_whatever_it_is_told, planted.tells_of_others],
)
@pytest.mark.kinds(*INDEXED)
def test_nobody_ends_another_user_s_session(place: str, web_on: WebOn) -> None:
    """For another user's session, the page answers as for one that does not exist, and ends no session."""
    web = web_on(place)
    web.app.register_blueprint(devices_page(web.sessions))
    victim, mallory = signed_in(web, "ada"), signed_in(web, "mallory")
    other = signed_in(web, "mallory")
    statuses = [_ask_to_end(web, mallory, handle) for handle in (_handle(web, victim), "0" * 64, "nonsense")]
    assert statuses == [404, 404, 404]
    assert who(web, victim) == "ada"
    assert _ask_to_end(web, mallory, _handle(web, other)) == 303
    assert who(web, other) is None


def _handle(web: Web, browser: FlaskClient) -> str:
    handle: str = web.see(lambda: session.handle, browser)
    return handle


def _ask_to_end(web: Web, browser: FlaskClient, handle: str) -> int:
    fields = {"action": "end", "handle": handle, FIELD: web.see(form_token, browser)}
    return int(browser.post("/devices/", data=fields).status_code)
