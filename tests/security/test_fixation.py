"""Ids that others know or chose are invalid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import redirect
from flask_login import LoginManager, UserMixin, current_user, login_user
from security import planted_fixation as planted
from security.bugs import adopts_the_id, both_ids_live, login_keeps_the_id, token_from_anywhere
from security.rows import advisory, requirement
from security.steps import WebOn, signed_in
from support.everywhere import INDEXED
from support.web import STRANGER, Web, cookies_set, rotate
from werkzeug.wrappers import Response as BaseResponse

from holdfast.flask import session
from holdfast.sessions.state import IDENTITY


@advisory(
    "CVE-2024-38513",
    "CVE-2018-1000519",
    "CVE-2018-12071",
    product="Fiber, aiohttp-session, CodeIgniter",
    cause="An id that the client chose became the id of its session.",
    mutants=[adopts_the_id],
)
@advisory(
    "CVE-2007-6077",
    product="Rails",
    cause="The setting that rejects chosen ids was checked for the first request of a process only.",
    mutants=[planted.adopts_from_the_second_request_on],
)
@requirement(
    "OWASP strict session management",
    says="An id that was not issued is never adopted.",
    mutants=[adopts_the_id],
)
def test_a_chosen_id_is_never_adopted(place: str, web_on: Callable[..., Web]) -> None:
    """The returned id is a different one, on the first request and on the second."""
    web = web_on(place)
    for _ in range(2):
        response: Any = web.send(f"session={STRANGER}", lambda: session.update(a=1))
        assert STRANGER not in "".join(cookies_set(response))
        assert web.calls(lambda: session.get("a"), web.with_token(STRANGER)) == {"load": 1}


def _look(seen: list[Any]) -> None:
    seen.append(session.get("who"))


@advisory(
    "CVE-2007-5380",
    "CVE-2007-6077",
    product="Rails",
    cause="A link could contain the id of a session, so that the victim used the attacker's.",
    mutants=[token_from_anywhere],
)
def test_an_id_outside_of_the_cookie_is_no_id(place: str, web_on: WebOn) -> None:
    """The id of a live session in a query, a form, a header or a path opens no session."""
    web = web_on(place)
    token = web.token(signed_in(web))
    requests: list[dict[str, Any]] = [
        {"query_string": {"session": token}},
        {"method": "POST", "data": {"session": token}},
        {"headers": {"Session": str(token), "X-Session": str(token), "Authorization": f"Bearer {token}"}},
    ]
    for request in requests:
        seen: list[Any] = []
        web.do(partial(_look, seen), web.app.test_client(), **request)
        assert seen == [None], request


# --- logins ----------------------------------------------------------------------------------------------------------


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


def _current_user() -> Any:
    return current_user.get_id()


def _set_key() -> None:
    session[IDENTITY] = "ada"


def _clear_and_set_key() -> None:
    session.clear()
    _set_key()


def _callback() -> BaseResponse:
    session["state"] = "used"
    session.bind("ada")
    return redirect("/")


#: The ways in which a session gets more rights.
_LOGINS: dict[str, Callable[[], Any]] = {
    "bind": lambda: session.bind("ada"),
    "Flask-Login's key": _set_key,
    "Flask-Login": lambda: str(login_user(User("ada"))),
    "a callback that redirects": _callback,
    "a change of password": rotate,
    "Flask-Login's key in a cleared session": _clear_and_set_key,
}


@advisory(
    "CVE-2022-25896",
    "CVE-2023-29019",
    "CVE-2022-38054",
    "CVE-2022-3269",
    "CVE-2015-8124",
    "CVE-2018-11385",
    "CVE-2023-46733",
    "CVE-2019-12203",
    "CVE-2017-12868",
    product="passport, @fastify/passport, Airflow, rdiffweb, Symfony, SilverStripe, SimpleSAMLphp",
    cause="The login kept the old id of the session, which an attacker could know.",
    mutants=[login_keeps_the_id, both_ids_live, planted.leaves_the_old_id_alive, planted.rotates_when_told_only],
)
def test_an_id_from_before_the_login_is_dead(place: str, web_on: WebOn) -> None:
    """After each kind of login the old id opens no session and changes no data, and the new one has the data."""
    web = web_on(place)
    LoginManager(web.app).user_loader(User)
    for way, login in _LOGINS.items():
        browser = web.app.test_client()
        web.put(browser, cart=[1])
        attacker = web.with_token(web.token(browser))
        web.do(login, browser)
        assert web.token(browser) != web.token(attacker), way
        assert web.data(attacker) == {}, way
        assert not cookies_set(web.put(attacker, cart=["planted"])), way
        assert web.data(browser).get("cart") in ([1], None), way
        web.clock.advance(31)
        assert web.data(attacker) == {}, way


@advisory(
    "CVE-2023-46733",
    product="Symfony",
    cause="Not every kind of login gave the session a new id.",
    mutants=[login_keeps_the_id, planted.rotates_when_told_only],
)
def test_an_id_from_before_a_remembered_login_is_dead(place: str, web_on: WebOn) -> None:
    """A remembered user who sends an id that an attacker planted gets another one."""
    web = web_on(place)
    LoginManager(web.app).user_loader(User)
    browser = web.app.test_client()
    web.do(lambda: str(login_user(User("ada"), remember=True)), browser)
    browser.delete_cookie("session")
    attacker = web.app.test_client()
    web.put(attacker, planted=True)
    browser.set_cookie("session", str(web.token(attacker)))
    assert web.see(_current_user, browser) == "ada"
    assert web.token(browser) != web.token(attacker)
    assert web.data(attacker) == {}


# --- another user ----------------------------------------------------------------------------------------------------


@advisory(
    "CVE-2014-0482",
    product="Django",
    cause="A second user who was signed in by the front-end server got the session of the first.",
    mutants=[planted.keeps_the_other_user_s_data, planted.binds_once],
)
@advisory(
    "CVE-2026-33946",
    product="MCP Ruby SDK",
    cause="An id was not bound to a user, so that any holder could continue the session.",
    mutants=[planted.binds_once],
)
def test_another_user_gets_another_session(place: str, web_on: WebOn) -> None:
    """Bob's login in Ada's session starts with empty data, under a new id bound to him; hers is over."""
    web = web_on(place)
    for login in (lambda: session.bind("bob"), lambda: session.update({IDENTITY: "bob"})):
        browser = signed_in(web, secret="ada's")
        hers = web.with_token(web.token(browser))
        owner = web.see(lambda: session.owner, browser)
        web.do(login, browser)
        assert "secret" not in web.data(browser)
        assert web.token(browser) != web.token(hers)
        assert web.see(lambda: session.owner, browser) not in (owner, None)
        assert web.data(hers) == {}


@advisory(
    "CVE-2026-33946",
    product="MCP Ruby SDK",
    cause="An id was not bound to a user, so that any holder could continue the session.",
    mutants=[planted.binds_once],
)
@pytest.mark.kinds(*INDEXED)
def test_a_session_is_listed_for_its_user_alone(place: str, web_on: WebOn) -> None:
    """After Bob's login in Ada's session it is listed among his sessions and not among hers."""
    web = web_on(place)
    browser = signed_in(web)
    assert len(web.sessions.of("ada")) == 1
    web.do(lambda: session.bind("bob"), browser)
    assert web.sessions.of("ada") == []
    assert len(web.sessions.of("bob")) == 1
