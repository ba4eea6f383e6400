"""Operators who sign in as a user, and get back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from support.web import Web, cookies_set, end

from holdfast.contrib.impersonation import impersonate, is_impersonating, stop_impersonating
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.records.record import Page
from holdfast.stores.memory import MemoryStore

PLACES: dict[str, dict[str, Any]] = {
    "plain": {},
    "sealed": {"SESSION_SEAL_KEYS": [new_key()]},
    "cookie": {"SESSION_STORE": "cookie://", "setting": "SESSION_REVOCATION_STORE"},
}


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


def who() -> str | None:
    """Return whom Flask-Login finds, as the view of a request."""
    name: str | None = current_user.get_id()
    return name


@pytest.fixture(params=PLACES)
def site(request: pytest.FixtureRequest) -> Web:
    """Return an application in whose browser the operator is signed in, and does something."""
    web = Web(PROPAGATE_EXCEPTIONS=False, **PLACES[request.param])
    web.do(lambda: session.bind("operator"))
    web.put(ticket=7)
    return web


def owner_of(site: Web, user: str) -> str:
    """Return the owner value of *user*."""
    return site.sessions.manager.keys.owner_of(user)


def aside(work: Callable[[], Any]) -> None:
    """Do *work* in another thread, where it shares nothing with the running request."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def as_ada() -> None:
    """Sign in as ada, as the view of a request."""
    impersonate("ada")


def there_and_back() -> None:
    """Sign in as ada and get back, as the view of a request."""
    as_ada()
    stop_impersonating()


def test_there_and_back(site: Web) -> None:
    """The user's session starts empty under a new token; the way back has the operator's data."""
    operator = site.token()
    site.do(as_ada)
    there = site.token()
    assert site.see(lambda: (session.owner, is_impersonating(), session.get("ticket"))) == (
        owner_of(site, "ada"),
        True,
        None,
    )
    site.put(cart=["pen"])
    site.clock.advance(4000)
    site.do(stop_impersonating)
    assert site.see(lambda: (session.owner, is_impersonating(), dict(session))) == (
        owner_of(site, "operator"),
        False,
        {"ticket": 7},
    )
    assert len({operator, there, site.token()}) == 3
    assert not site.sessions.still_valid(there or "")


def test_an_operator_whose_way_there_cannot_be_stored_stays_signed_in(site: Web) -> None:
    """An error in the same request, such as data that are too large, changes nothing: no session ends."""

    def view() -> None:
        as_ada()
        session["draft"] = "x" * 3_000_000

    assert site.do(view).status_code == 500
    assert site.see(lambda: (session.owner, dict(session))) == (owner_of(site, "operator"), {"ticket": 7})
    assert site.reasons("ended") == []


@pytest.mark.parametrize("at_once", [False, True])
def test_neither_way_is_a_proof_of_identity(site: Web, at_once: bool) -> None:
    """There and back, also in one request, a session is as fresh as the operator's login; confirming makes it fresh."""
    began = site.see(lambda: session.authenticated_at)
    site.clock.advance(100)
    for step in [there_and_back] if at_once else [as_ada, stop_impersonating]:
        site.do(step)
        assert site.see(lambda: (session.authenticated_at, session.fresh_for(60))) == (began, False)
    site.do(lambda: session.bind("operator"))
    assert site.see(lambda: session.fresh_for(60)) is True


def test_a_remembered_operator_stays_remembered() -> None:
    """A remember-me cookie is no proof of identity, and there and back is none either."""
    web = Web(SESSION_PROTECTION=None)
    LoginManager(web.app).user_loader(User)
    web.do(lambda: str(login_user(User("operator"), remember=True)))
    web.browser.delete_cookie("session")
    for step in (who, as_ada, stop_impersonating):
        web.do(step)
        assert web.see(lambda: (session["_fresh"], session.authenticated_at)) == (False, None)
    assert web.see(who) == "operator"


@pytest.mark.parametrize("over", ["SESSION_ABSOLUTE_LIFETIME", "SESSION_NOT_BEFORE"])
@pytest.mark.parametrize("way", [as_ada, there_and_back])
def test_neither_way_makes_a_session_younger(site: Web, over: str, way: Callable[[], None]) -> None:
    """The absolute timeout, and a moment before which sessions end, count from the operator's login."""
    site.app.config["SESSION_ABSOLUTE_LIFETIME"] = 3600
    for _ in range(2):
        site.clock.advance(1799)
        site.do(way)
        assert site.see(lambda: session.owner) is not None
        if way is as_ada:
            site.do(stop_impersonating)
    if over == "SESSION_NOT_BEFORE":
        site.app.config[over] = datetime.fromtimestamp(site.clock() / 1000 - 1800, timezone.utc)
    else:
        site.clock.advance(2)
    assert site.see(lambda: session.owner) is None


def test_a_limit_takes_the_session_for_a_new_one() -> None:
    """Although its operator signed in before the user, it is the user's own session that has to go."""
    web = Web(SESSION_MAX_PER_USER=1)
    web.do(lambda: session.bind("operator"))
    ada = web.app.test_client()
    web.clock.advance(1)
    web.do(lambda: session.bind("ada"), ada)
    web.clock.advance(1)
    assert web.do(as_ada).status_code == 200
    assert web.see(lambda: session.owner) == owner_of(web, "ada")
    assert web.see(lambda: session.owner, ada) is None


class ListedAtOnce(MemoryStore):
    """A store that answers the first list of *owner* in two threads once both have asked."""

    owner = ""

    def __init__(self) -> None:
        super().__init__()
        self._together = threading.Barrier(2)
        self._asked = threading.local()

    def find(self, owner: str, after: str | None = None, /, *, limit: int = 100) -> Page:
        if owner == self.owner and not hasattr(self._asked, "once"):
            self._asked.once = True
            self._together.wait(timeout=10)
        return super().find(owner, after, limit=limit)


@pytest.mark.parametrize("later", [0, 1])
def test_of_a_login_and_an_impersonation_at_once_one_stays(later: int) -> None:
    """Neither takes the other for the earlier one: the later of both is the session that the user has."""
    store = ListedAtOnce()
    hosts = [Web(lambda _: store, SESSION_MAX_PER_USER=1) for _ in range(2)]
    login, acting = hosts
    acting.do(lambda: session.bind("operator"))
    for host in hosts:
        host.clock.advance(1)
    hosts[later].clock.advance(0.001)
    store.owner = owner_of(login, "ada")
    work = (lambda: session.bind("ada"), as_ada)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda host, each: host.do(each), hosts, work))
    store.owner = ""
    (left,) = login.sessions.of("ada")
    assert (left.impersonator is not None) == (hosts[later] is acting)


@pytest.mark.parametrize("way", ["revoke all", "elsewhere"])
def test_an_operator_whose_sessions_were_ended_does_not_get_back(site: Web, way: str) -> None:
    """The way back is refused, and ends the session; another user's end does not matter."""
    site.do(as_ada)
    site.clock.advance(1)
    site.sessions.revoke_all("operator" if way == "revoke all" else "bob")
    site.clock.advance(1)
    response = site.do(stop_impersonating)
    if way == "revoke all":
        assert response.status_code == 409
        assert site.see(lambda: session.owner) is None
    else:
        assert site.see(lambda: session.owner) == owner_of(site, "operator")


@pytest.mark.parametrize("way", [as_ada, stop_impersonating])
@pytest.mark.parametrize("end_it", ["revoke all", "log out"])
def test_a_session_that_ends_meanwhile_is_not_left_by_another(site: Web, way: Callable[[], None], end_it: str) -> None:
    """The session is ended between the lookup and the answer: neither way is a login that could begin another one."""
    if way is stop_impersonating:
        site.do(as_ada)
    tab = site.twin()

    def view() -> None:
        way()
        site.clock.advance(1)
        if end_it == "revoke all":
            aside(lambda: site.sessions.revoke_all("ada" if way is stop_impersonating else "operator"))
        else:
            aside(lambda: site.do(end, tab))

    site.do(view)
    assert site.see(lambda: session.owner) is None
    assert site.see(lambda: session.new)


def test_the_user_sees_it_in_the_list() -> None:
    """The session is among the user's, with who opened it, and ends with the user's others."""
    web = Web()
    web.do(lambda: session.bind("operator"))
    web.do(as_ada)
    [entry] = web.sessions.of("ada")
    assert entry.impersonator == owner_of(web, "operator")
    assert web.sessions.of("operator") == []
    web.do(stop_impersonating)
    [entry] = web.sessions.of("operator")
    assert entry.impersonator is None
    web.do(as_ada)
    web.sessions.revoke_all("ada")
    assert web.see(lambda: session.owner) is None


def test_with_flask_login() -> None:
    """Flask-Login finds the user, and then the operator."""
    web = Web()
    LoginManager(web.app).user_loader(User)
    web.do(lambda: str(login_user(User("operator"))))
    web.do(as_ada)
    assert web.see(who) == "ada"
    web.do(stop_impersonating)
    assert web.see(who) == "operator"


def test_without_announced_logins() -> None:
    """The identity key of Flask's tutorial names the user, and then the operator."""
    web = Web()
    web.put(user_id=1)
    web.do(lambda: impersonate(2))
    assert web.see(lambda: (session["user_id"], session.owner)) == (2, owner_of(web, "2"))
    web.do(stop_impersonating)
    assert web.data() == {"user_id": 1}


@pytest.mark.parametrize("way", ["logout", "login of another user"])
def test_nobody_else_gets_back(site: Web, way: str) -> None:
    """A logout and a login by the identity key of Flask's tutorial keep the data, and end the way back."""
    site.do(lambda: session.bind("operator"))
    site.put(user_id="operator")
    site.do(as_ada)
    site.do(lambda: session.pop("user_id") if way == "logout" else session.update(user_id="bob"))
    before = site.see(lambda: session.owner)
    assert site.see(is_impersonating) is False
    assert site.do(stop_impersonating).status_code == 500
    assert site.see(lambda: session.owner) == before == (None if way == "logout" else owner_of(site, "bob"))


#: How the operator signs in, and how the user leaves, or another one comes.
LEAVING: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "logout of Flask-Login": (lambda: login_user(User("operator")), logout_user),
    "login of Flask-Login": (lambda: login_user(User("operator")), lambda: login_user(User("bob"))),
    "id that is used once": (lambda: login_user(User("operator")), lambda: session.pop_once("_user_id")),
    "id of nobody": (lambda: login_user(User("operator")), lambda: session.update(_user_id=None)),
    "removed id": (lambda: session.update(user_id="operator"), lambda: session.pop("user_id")),
    "id of another user": (lambda: session.update(user_id="operator"), lambda: session.update(user_id="bob")),
    "bind": (lambda: session.bind("operator"), lambda: session.bind("bob")),
    "end": (lambda: session.bind("operator"), end),
    "way back": (lambda: session.bind("operator"), stop_impersonating),
}


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("way", LEAVING)
def test_the_next_user_has_nothing_of_the_operator(way: str, at_once: bool) -> None:
    """However the user leaves, also in the request that signs in as them, nothing of the operator's stays behind."""
    web = Web()
    LoginManager(web.app).user_loader(User)
    signs_in, leaves = LEAVING[way]
    steps = [lambda: session.update(ticket=7), signs_in, as_ada, lambda: session.update(cart=1), leaves]
    for group in [steps] if at_once else [[step] for step in steps]:
        web.do(lambda group=group: str([step() for step in group]))  # type: ignore[misc]  # mypy infers no defaults
    assert "_operator" not in web.data()
    assert web.see(is_impersonating) is False
    assert ("ticket" in web.data()) is (way == "way back")
    assert [each.impersonator for user in ("operator", "ada", "bob") for each in web.sessions.of(user)] in ([], [None])


def test_strong_protection_leaves_nothing_of_the_operator() -> None:
    """A browser that Flask-Login takes for another one is signed out, and gets no data of the operator."""
    web = Web(REMEMBER_COOKIE_NAME="remember", SESSION_PROTECTION="strong")
    LoginManager(web.app).user_loader(User)
    web.do(lambda: str(login_user(User("operator"), remember=True)))
    web.do(as_ada)
    other = {"User-Agent": "another browser"}
    assert web.do(lambda: str(who()), headers=other).text == "None"
    assert web.do(lambda: str("_operator" in session), headers=other).text == "False"


def test_a_key_of_the_same_name_is_the_applications() -> None:
    """Where nobody impersonates, the key under which the operator's data would be is kept over a login."""
    web = Web()
    web.put(_operator="a phone company")
    assert web.see(is_impersonating) is False
    web.do(lambda: session.bind("ada"))
    assert web.data() == {"_operator": "a phone company"}


@pytest.mark.parametrize("case", ["nobody", "twice", "oneself", "not at all"])
def test_what_makes_no_sense_is_refused(case: str) -> None:
    """Without an operator, inside of another one, of oneself, and a way back from nowhere: nothing changes."""
    web = Web()
    if case != "nobody":
        web.do(lambda: session.bind("operator"))
    if case == "twice":
        web.do(as_ada)
    before = web.token()
    wrong = {"oneself": lambda: impersonate("operator"), "not at all": stop_impersonating}.get(case, as_ada)
    with pytest.raises(ValueError, match="needs a session"):
        web.do(wrong)
    assert web.token() == before
    assert not cookies_set(web.do(lambda: session.get("a")))
