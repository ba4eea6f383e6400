"""The ends by an operator, and the protection from others."""

from __future__ import annotations

import itertools
import logging
import math
import re
import threading
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from flask import redirect
from support import seams
from support.desk import Desk, handle_of, lives, sign_in, sign_in_operator
from support.markup import parse
from support.web import Web

from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore, FakeClock


@pytest.fixture
def desk() -> Desk:
    """Return an operator at an application on a memory store."""
    clock = FakeClock()
    return Desk(Web(lambda _: MemoryStore(clock=clock)))


# --- a user ----------------------------------------------------------------------------------------------------------


def test_all_sessions_of_a_user_are_ended(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """All are ended, others stay, and the log says who did it."""
    web = desk.web
    browsers, other = [sign_in(web), sign_in(web)], sign_in(web, "bob")
    with caplog.at_level(logging.INFO, "holdfast.operator"):
        assert "Sessions ended: 2." in desk.done("/operator/user?id=ada", action="end-all")
    assert not any(lives(web, browser) for browser in browsers)
    assert lives(web, other)
    (record,) = caplog.records
    assert record.getMessage().startswith("'Grace' ended all sessions of the user")


def test_an_end_of_all_that_is_not_confirmed_is_told() -> None:
    """If the store has no room for what keeps out a login that is going on, the operator is told to repeat the end."""
    clock = FakeClock()
    store = FailingStore(MemoryStore(clock=clock))
    desk = Desk(Web(lambda _: store))
    browser = sign_in(desk.web)
    store.fail("create", times=math.inf)
    page = desk.done("/operator/user?id=ada", action="end-all")
    assert "Sessions ended: 1." in page
    assert "make room in the store, and end them again" in page
    assert not lives(desk.web, browser)


def test_an_operator_s_own_session_is_kept(desk: Desk) -> None:
    """Operators who end their own sessions keep the one they work with."""
    other = sign_in(desk.web, "operator")
    page = desk.done("/operator/user?id=operator", action="end-all")
    assert "Sessions ended: 1. Your own was kept." in page
    assert not lives(desk.web, other)


# --- ending one ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/operator/?device=fire", "/operator/user?id=ada"])
def test_one_session_is_ended(desk: Desk, caplog: pytest.LogCaptureFixture, path: str) -> None:
    """A session is ended by its handle, the page that it was on is shown again, and the log says who did it."""
    web = desk.web
    browser, other = sign_in(web), sign_in(web)
    handle = handle_of(web, browser)
    with caplog.at_level(logging.INFO, "holdfast.operator"):
        response = desk.send(path, action="end", handle=handle)
    assert (response.status_code, response.location) == (303, path)
    assert "The session has ended." in desk.text(path)
    assert not lives(web, browser)
    assert lives(web, other)
    assert [record.getMessage() for record in caplog.records] == [f"'Grace' ended the session '{handle}': confirmed"]


def test_a_session_that_is_over_is_told(desk: Desk) -> None:
    """A session that has ended, and an invalid handle, are reported as absent."""
    for handle in ("0" * 64, "no handle"):
        assert "There is no such session" in desk.done("/operator/", action="end", handle=handle)


def test_sessions_that_no_key_opens_are_left() -> None:
    """They may be another application's in the same store: neither the end of one nor that of everyone ends them."""
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    desk = Desk(Web(lambda _: store, SESSION_SEAL_KEYS=[new_key()]))
    other = Web(lambda _: store, SESSION_SEAL_KEYS=[new_key()])
    browser = sign_in(other)
    page = desk.done("/operator/user?id=ada", action="end", handle=handle_of(other, browser))
    assert "The session was not ended. No key of this application opens it" in page
    page = desk.done("/operator/everyone", action="begin", word="everyone")
    assert "Sealed sessions that were left: 1." in page
    assert lives(other, browser)


def test_what_the_store_does_not_confirm_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a store cannot confirm the end, the operator sees that."""
    browser = sign_in(desk.web)
    handle = handle_of(desk.web, browser)
    seams.EXTENSION_REVOKE.plant(monkeypatch, lambda self, handle: "unconfirmed")
    assert "does not confirm" in desk.done("/operator/", action="end", handle=handle)


def test_the_operator_s_own_session_is_not_ended(desk: Desk) -> None:
    """The session that asks cannot be ended here."""
    handle = handle_of(desk.web, desk.operator)
    assert desk.send("/operator/", action="end", handle=handle).status_code == 400
    assert lives(desk.web, desk.operator)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/operator/", {"action": "end"}),
        ("/operator/user?id=ada", {"action": "end"}),
        ("/operator/user?id=ada", {"action": "end-all"}),
        ("/operator/everyone", {"action": "begin", "word": "everyone"}),
        ("/operator/everyone", {"action": "on"}),
    ],
)
@pytest.mark.parametrize("forged", ["", "another", "elsewhere"])
def test_a_forged_form_does_nothing(desk: Desk, path: str, fields: dict[str, str], forged: str) -> None:
    """A form without a token, with that of another session, or from another origin changes nothing."""
    web = desk.web
    browser = sign_in(web)
    fields = {**fields, "handle": handle_of(web, browser)}
    if forged == "another":
        other = web.app.test_client()
        web.do(sign_in_operator, other)
        proof = re.search(r'name="form_token" value="([^"]+)"', other.get(path).text)
        assert proof
        fields["form_token"] = proof[1]
        response = desk.operator.post(path, data=fields)
    elif forged == "elsewhere":
        proof = re.search(r'name="form_token" value="([^"]+)"', desk.text(path))
        assert proof
        fields["form_token"] = proof[1]
        response = desk.operator.post(path, data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    else:
        response = desk.operator.post(path, data=fields)
    assert response.status_code == 400
    assert "No change was made" in response.text
    assert lives(web, browser)


def test_an_unknown_action_is_refused(desk: Desk) -> None:
    """A form that asks for what there is not is a bad request."""
    for path in ("/operator/user?id=ada", "/operator/everyone"):
        assert desk.send(path, action="dance").status_code == 400
    assert desk.send("/operator/breakdown", most="7").status_code == 400


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/operator/", {"action": "end"}),
        ("/operator/user?id=ada", {"action": "end-all"}),
        ("/operator/everyone", {"action": "begin", "word": "everyone"}),
    ],
)
def test_ending_can_ask_for_a_fresh_login(path: str, fields: dict[str, str]) -> None:
    """With ``fresh``, an operator who signed in too long ago can look, and must sign in again to end anything."""
    desk = Desk(Web(), fresh=300)
    web = desk.web
    browser = sign_in(web)
    fields["handle"] = handle_of(web, browser)
    web.clock.advance(301)
    assert desk.get(path).status_code == 200
    assert desk.send(path, **fields).status_code == 401
    assert lives(web, browser)
    web.do(sign_in_operator, desk.operator)
    assert desk.send(path, **fields).status_code == 303
    assert not lives(web, browser)


def test_ending_can_ask_a_function() -> None:
    """A function may take the place of the seconds, and its answer is sent."""
    desk = Desk(Web(), fresh=lambda: redirect("/prove-it"))
    browser = sign_in(desk.web)
    response = desk.send("/operator/", action="end", handle=handle_of(desk.web, browser))
    assert response.location == "/prove-it"
    assert lives(desk.web, browser)


def test_forms_outlive_a_renewal() -> None:
    """Where the operator's session is due for another token, the page is asked for again, with forms that are good."""
    desk = Desk(Web(SESSION_RENEWAL_INTERVAL=60))
    browser = sign_in(desk.web)
    handle = handle_of(desk.web, browser)
    desk.web.clock.advance(61)
    response = desk.get("/operator/?device=fire")
    assert response.status_code == 303
    proof = parse(desk.text(response.location)).all("input", name="form_token")[0]["value"]
    desk.operator.post("/operator/", data={"form_token": proof, "action": "end", "handle": handle})
    assert not lives(desk.web, browser)


def test_who_has_no_session_is_told_that_forms_need_one(web: Web) -> None:
    """An operator who is authorized without a session has read-only access, with an explanation."""
    desk = Desk(web, authorize=lambda: True)
    browser = web.app.test_client()
    assert "no stored session" in browser.get("/operator/").text
    assert "no stored session" not in desk.text("/operator/")
    assert browser.post("/operator/", data={"form_token": "", "action": "end"}).status_code == 400


# --- everyone --------------------------------------------------------------------------------------------------------


def test_everyone_is_ended(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """All sessions but the operator's are ended, and that one has another token."""
    web = desk.web
    browsers = [sign_in(web, f"user {number}") for number in range(5)]
    web.put(cart=[1])
    copy = web.with_token(web.token(desk.operator))
    with caplog.at_level(logging.INFO, "holdfast.operator"):
        page = desk.done("/operator/everyone", action="begin", word=" Everyone ")
    assert "Sessions ended: 6." in page
    assert not any(lives(web, browser) for browser in (*browsers, copy))
    assert lives(web, desk.operator)
    assert web.sessions.count() == 1
    assert [record.getMessage() for record in caplog.records] == ["'Grace' ended everyone's sessions: 6"]


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("page", [1, 2])
def test_a_renewal_meanwhile_does_not_sign_the_operator_out(
    monkeypatch: pytest.MonkeyPatch, page: int, early: bool
) -> None:
    """Another tab's request renews the operator's session while everyone's are ended: it is kept under its new key."""
    web = Web(SESSION_RENEWAL_INTERVAL=60)
    desk = Desk(web)
    scans = itertools.count(1)

    def renew() -> None:
        web.clock.advance(61)
        tab = web.with_token(web.token(desk.operator))
        for _ in range(2):
            web.do(lambda: str(session.owner), tab, headers={"Accept": "text/html"})
        desk.operator.set_cookie("session", str(web.token(tab)))

    def around(operation: str, call: Callable[[], Any]) -> Any:
        is_due = operation == "scan" and next(scans) == page
        answer = None if is_due and early else call()
        if is_due:
            thread = threading.Thread(target=renew)
            thread.start()
            thread.join()
        return call() if is_due and early else answer

    browser = sign_in(web)
    monkeypatch.setattr(web.failing, "around", around)
    desk.send("/operator/everyone", action="begin", word="everyone")
    assert lives(web, desk.operator)
    assert not lives(web, browser)


@pytest.mark.parametrize("word", ["", "yes", "everyon"])
def test_everyone_must_be_typed(desk: Desk, word: str) -> None:
    """Without the word no session is ended."""
    browser = sign_in(desk.web)
    response = desk.send("/operator/everyone", action="begin", word=word)
    assert response.status_code == 400
    assert "Type “everyone”" in unescape(response.text)
    assert lives(desk.web, browser)


def test_everyone_takes_bounded_steps() -> None:
    """A request ends what it has time for, says how far it has come, and the next one goes on until all are ended."""
    desk = Desk(Web(), patience=2.0)
    web = desk.web
    for number in range(600):
        sign_in(web, f"user {number}")
    page = desk.done("/operator/everyone", action="begin", word="everyone")
    steps = 1
    while "Not yet all" in page:
        left = web.sessions.count()
        web.store.reset()
        page = desk.done("/operator/everyone", action="on")
        assert web.store.counts["scan"] <= 3
        assert left - web.sessions.count() <= 300
        steps += 1
    assert "Sessions ended: 600." in page
    assert steps > 2
    assert web.sessions.count() == 1


def test_an_end_of_everyone_can_be_stopped() -> None:
    """An operator may leave the rest as they are."""
    desk = Desk(Web(), patience=0.5)
    for number in range(150):
        sign_in(desk.web, f"user {number}")
    assert "Not yet all" in desk.done("/operator/everyone", action="begin", word="everyone")
    assert "were not ended" in desk.done("/operator/everyone", action="stop")
    assert desk.web.sessions.count() > 1
    assert desk.send("/operator/everyone", action="on").status_code == 400


# --- a store that is down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/operator/", "/operator/user?id=ada"])
def test_an_outage_is_told_in_the_page(path: str) -> None:
    """Where the store fails under an operator, the page says so with 503."""
    desk = Desk(Web(), authorize=lambda: True)
    web = desk.web
    operator = web.app.test_client()
    with web.failing.outage():
        response = operator.get(path)
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert "does not answer" in response.text


def test_an_outage_shows_nothing_to_who_is_not_let_in(desk: Desk) -> None:
    """Where it cannot be known whether a request is an operator's, the answer is a plain 503."""
    web = desk.web
    with web.failing.outage():
        response = desk.get("/operator/")
    assert response.status_code == 503
    assert "<html" not in response.text


@pytest.mark.parametrize("operations", [["scan"], ["replace", "delete", "discard"]])
def test_an_outage_while_everyone_is_ended(desk: Desk, operations: list[str]) -> None:
    """If the store fails on the way, that is reported, and a repetition ends the rest."""
    web = desk.web
    for number in range(5):
        sign_in(web, f"user {number}")
    proof = re.search(r'name="form_token" value="([^"]+)"', desk.text("/operator/everyone"))
    assert proof
    web.failing.fail(*operations, times=float("inf"))
    fields = {"form_token": proof[1], "action": "begin", "word": "everyone"}
    assert desk.operator.post("/operator/everyone", data=fields).status_code == 503
    web.failing.heal()
    desk.done("/operator/everyone", action="begin", word="everyone")
    assert web.sessions.count() == 1
