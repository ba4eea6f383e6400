"""The operator's page: for operators alone, and at the same cost however many sessions there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import abort, redirect, request
from support.desk import EDGE, Bare, Desk, handle_of, lives, sign_in
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.markup import parse
from support.web import Web

from holdfast import ConfigurationError
from holdfast.contrib.operator_page import operator_page
from holdfast.flask import session
from holdfast.stores.contract import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

PAGES = ("/operator/", "/operator/user", "/operator/breakdown", "/operator/everyone")


@pytest.fixture
def desk() -> Desk:
    """Return an operator at an application on a memory store."""
    clock = FakeClock()
    return Desk(Web(lambda _: MemoryStore(clock=clock)))


# --- who may see it --------------------------------------------------------------------------------------------------


def test_there_is_no_page_without_an_authorizer(web: Web) -> None:
    """The page cannot be made without a function that authorizes operators."""
    make: Callable[..., Any] = operator_page
    with pytest.raises(TypeError, match="authorize"):
        make(web.sessions)
    with pytest.raises(ConfigurationError, match="give a function"):
        make(web.sessions, authorize=None)


@pytest.mark.parametrize("page", [{"per_page": 0}, {"patience": 0.0}])
def test_what_cannot_be_is_refused(web: Web, page: dict[str, Any]) -> None:
    """A page needs room for a session, and a moment to work."""
    with pytest.raises(ConfigurationError, match="must be above 0"):
        operator_page(web.sessions, authorize=lambda: True, **page)


@pytest.mark.parametrize("path", [*PAGES, "/operator/static/operator.css"])
def test_nobody_else_sees_it(desk: Desk, path: str) -> None:
    """Without authorization every request gets the response for a page that does not exist."""
    other = sign_in(desk.web)
    with desk.get(path) as response:
        assert response.status_code == 200
    assert desk.get(path, other).status_code == 404
    assert other.options(path).status_code == 404
    if path in PAGES:
        assert other.post(path, data={"action": "begin", "word": "everyone"}).status_code == 404
    assert lives(desk.web, other)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["", "/", "//user", "/user", "/user/", "/static/operator.css", "/none"])
def test_nobody_else_learns_that_there_is_a_page(web: Web, method: str, path: str) -> None:
    """For any method and path, others get the status, the headers and the body of a missing page."""
    web.app.add_url_rule("/operators/", "operators", lambda: "not one of these pages")
    desk = Desk(web, authorize=lambda: False)
    answer, missing = (desk.operator.open(f"{where}{path}", method=method) for where in ("/operator", "/nowhere"))
    assert missing.status_code == 404
    assert (answer.status, answer.data) == (missing.status, missing.data)
    assert list(answer.headers) == list(missing.headers)
    assert desk.get("/operators").status_code == 308


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "", 308), ("PUT", "/user", 405), ("GET", "/none", 404)])
def test_an_operator_gets_the_usual_answers_of_routing(desk: Desk, method: str, path: str, status: int) -> None:
    """For an operator a missing slash is a redirect, and a wrong method is one."""
    assert desk.operator.open(f"/operator{path}", method=method).status_code == status


def test_the_authorizer_comes_before_any_store_call(web: Web) -> None:
    """Where it refuses by itself, the store is not asked for anything, and it is asked for each request."""
    asked: list[str] = []

    def authorize() -> bool:
        asked.append(request.path)
        return False

    desk = Desk(web, authorize=authorize)
    web.store.reset()
    for path in PAGES:
        assert desk.get(path).status_code == 404
    assert not web.store.counts
    assert asked == list(PAGES)


def test_the_authorizer_may_answer_itself(web: Web) -> None:
    """It may send who is not signed in to where they can be."""

    def authorize() -> bool:
        abort(redirect("/login"))

    assert Desk(web, authorize=authorize).get().location == "/login"


def test_the_authorizer_may_be_async(web: Web) -> None:
    """An authorizer that is a coroutine function is waited for, and its refusal is one."""

    async def authorize() -> bool:
        return bool(session.get("role") == "operator")

    desk = Desk(web, authorize=authorize)
    assert desk.get().status_code == 200
    assert desk.get(browser=web.app.test_client()).status_code == 404


def test_an_odd_answer_of_the_authorizer_lets_nobody_in(web: Web) -> None:
    """A value that is neither a name nor True is a mistake, not a permission."""
    desk = Desk(web, authorize=object)
    with pytest.raises(TypeError, match="authorize\\(\\) returned object"):
        desk.get()


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_kept_to_themselves(desk: Desk, path: str) -> None:
    """No page is stored, framed or indexed, and each works where no script and no inline style may run."""
    sign_in(desk.web, label="A laptop")
    response = desk.get(path + "?id=ada")
    headers = response.headers
    assert headers["Cache-Control"] == "no-store"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    page = parse(response.text)
    assert not [element for tag in ("script", "style") for element in page.all(tag)]
    assert not [name for element in page.walk() for name in element.attributes if name == "style" or name[:2] == "on"]
    assert page.one("h1").text
    identifiers = [element["id"] for element in page.walk() if "id" in element.attributes]
    assert len(set(identifiers)) == len(identifiers)


# --- a list of all ---------------------------------------------------------------------------------------------------


def test_a_thousand_sessions_page_by_page() -> None:
    """Following the links lists every session once, with one store call for each page."""
    desk = Desk(Web(), per_page=50)
    web = desk.web
    for number in range(999):
        sign_in(web, f"user {number}")
    handles = {info.handle for info in web.sessions.scan(limit=2000).items}
    assert len(handles) == 1000
    seen: set[str] = set()
    path, pages = "/operator/", 0
    while path:
        web.store.reset()
        page = desk.text(path)
        assert web.store.counts == {"load": 1, "scan": 1}
        found = set(re.findall(r'name="handle" value="([0-9a-f]{64})"', page))
        assert len(found) <= 50
        assert not seen & found
        seen |= found
        pages += 1
        link = re.search(r'href="([^"]+)" rel="next"', page)
        path = unescape(link[1]) if link else ""
    assert seen == handles - {handle_of(web, desk.operator)}
    assert pages >= 20


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED if kind != "memory"])
def test_each_store_is_walked_searched_and_emptied(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """On each store that can be walked, pages show every session, a search finds a user's, and everyone is ended."""
    url = url_of_kind(kind, request, tmp_path)
    desk = Desk(Web(lambda clock: open_store(url, clock=clock)), per_page=4)
    web = desk.web
    browsers = [sign_in(web, f"user {number // 2}") for number in range(12)]
    seen: set[str] = set()
    path = "/operator/"
    while path:
        page = desk.text(path)
        seen |= set(re.findall(r'name="handle" value="([0-9a-f]{64})"', page))
        link = re.search(r'href="([^"]+)" rel="next"', page)
        path = unescape(link[1]) if link else ""
    assert len(seen) == 12
    assert desk.text("/operator/user?id=user+3").count("Firefox on Linux") == 2
    assert "<strong>13 sessions</strong>" in desk.send("/operator/breakdown", most="10000").text
    assert desk.get("/operator/?after=made+up").status_code in {200, 400}
    page = desk.done("/operator/everyone", action="begin", word="everyone")
    while "Not yet all" in page:
        page = desk.done("/operator/everyone", action="on")
    assert not any(lives(web, browser) for browser in browsers)
    assert lives(web, desk.operator)
    if isinstance(web.memory, Closes):
        web.memory.close()


def test_what_is_shown_of_a_session(desk: Desk) -> None:
    """A session is shown by device, label, user, and a part of its handle; secrets are not shown."""
    web = desk.web
    browser = sign_in(web, label="Work laptop")
    web.do(lambda: session.update(cart="a secret thing"), browser)
    page = desk.text("/operator/")
    assert "Firefox on Linux" in page
    assert "Work laptop" in page
    owner = web.sessions.manager.keys.owner_of("ada")
    assert f"{owner[:12]}…" in page
    token = web.token(browser)
    assert token is not None
    for secret in (owner, token, "a secret thing", ">ada<"):
        assert secret not in page
    assert "Yours" in page


def test_the_address_is_shown_where_it_is_kept() -> None:
    """Where the application keeps addresses, operators see them."""
    desk = Desk(Web(SESSION_KEEP_ADDRESS=True))
    desk.web.do(lambda: session.bind("ada"), environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert "192.0.2.7" in desk.text("/operator/")


@pytest.mark.parametrize(
    ("query", "found"),
    [("device=edge", 1), ("device=laptop", 1), ("device=FireFox", 2), ("device=nokia", 0), ("age=under+1+hour", 2)],
)
def test_a_page_can_be_filtered(desk: Desk, query: str, found: int) -> None:
    """The page shown is filtered by device, label and age, and says of how many."""
    web = desk.web
    sign_in(web, "old", EDGE)
    web.clock.advance(7200)
    sign_in(web, "ada")
    sign_in(web, "bob", label="A laptop")
    page = desk.text(f"/operator/?{query}")
    assert len(re.findall('name="handle" value="[0-9a-f]{64}"', page)) == found
    assert "of the 4 sessions on this page" in page


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 'nan' * 3 }}"])
def test_what_comes_from_outside_is_escaped(desk: Desk, label: str) -> None:
    """Labels, user ids, filters and places to go on are text, wherever they are shown."""
    sign_in(desk.web, label, label=label)
    for path in ("?device={}&age={}&after={}", "user?id={}"):
        page = desk.get(f"/operator/{path.replace('{}', label)}").text
        assert "<script>" not in page
        assert "<img" not in page
        assert "nannannan" not in page
    assert unescape(desk.text("/operator/")).count(label) == 1


@pytest.mark.parametrize("after", ["%00", "a%0Ab", "x" * 501])
def test_a_place_that_no_store_gave_is_refused(desk: Desk, after: str) -> None:
    """An invalid position is reported as such, and does not reach the store."""
    desk.web.store.reset()
    assert "Start at the first page" in desk.text(f"/operator/?after={after}", 400)
    assert "scan" not in desk.web.store.counts


# --- one user --------------------------------------------------------------------------------------------------------


def test_a_user_is_found_by_id(desk: Desk) -> None:
    """A search shows the user's sessions and what stands for the user elsewhere, and costs what they cost."""
    web = desk.web
    for name in ("ada", "ada", *(f"user {number}" for number in range(20))):
        sign_in(web, name)
    web.store.reset()
    page = desk.text("/operator/user?id=ada")
    assert web.store.counts == {"load": 1, "find": 1}
    assert page.count("Firefox on Linux") == 2
    assert f"{web.sessions.manager.keys.owner_of('ada')[:12]}…" in page
    assert "This user has no session" in desk.text("/operator/user?id=nobody")


# --- a breakdown -----------------------------------------------------------------------------------------------------


def test_a_breakdown_says_of_how_many_it_is(desk: Desk) -> None:
    """Counting is on demand, walks over the store in bounded steps, and says whether there are more."""
    for number in range(20):
        sign_in(desk.web, f"user {number % 3}")
    assert "sessions</strong> were counted" not in desk.text("/operator/breakdown")
    response = desk.send("/operator/breakdown", most="10000")
    assert response.status_code == 200
    assert "<strong>21 sessions</strong> were counted, 21 of users" in response.text
    assert "There are no more." in response.text
    devices = parse(response.text).all("div", class_="hf-chart")[1].one("tbody")
    assert [row.text for row in devices.all("tr")] == ["Firefox on Linux 20", "not known 1"]
    desk.web.store.reset()
    desk.send("/operator/breakdown", most="10000")
    assert desk.web.store.counts["scan"] == 1


def test_a_breakdown_stops_in_time() -> None:
    """When the time for a request is up, it says so and shows what it has."""
    desk = Desk(Web(), patience=0.5)
    for number in range(600):
        sign_in(desk.web, f"user {number}")
    assert "The time limit of one request was reached" in desk.send("/operator/breakdown", most="10000").text


# --- stores that cannot do everything --------------------------------------------------------------------------------


def test_a_store_that_cannot_be_walked_says_so() -> None:
    """Without a walk and an index, pages say what cannot be done, and a session is ended by its handle all the same."""
    desk = Desk(Web(Bare))
    web = desk.web
    browser = sign_in(web)
    handle = handle_of(web, browser)
    assert "Bare cannot list its records" in desk.text("/operator/").replace("CountingStore", "Bare")
    for path in ("/operator/breakdown", "/operator/everyone"):
        assert "cannot list its records" in desk.text(path)
    assert "keeps no index by owner" in desk.text("/operator/user?id=ada")
    assert "The session has ended." in desk.done("/operator/", action="end", handle=handle)
    assert not lives(web, browser)


def test_sessions_in_cookies() -> None:
    """Sessions in cookies cannot be listed, and without a store for revocations they cannot be ended."""
    desk = Desk(Web(SESSION_STORE="cookie://"))
    for path in PAGES:
        assert "browsers’ cookies" in unescape(desk.text(path + "?id=ada"))
    assert "SESSION_REVOCATION_STORE" in desk.text("/operator/")


def test_sessions_in_cookies_with_revocation() -> None:
    """With a store for revocations, a user's sessions in cookies are ended, and so is one by its handle."""
    desk = Desk(Web(setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://"))
    web = desk.web
    ada, bob = sign_in(web), sign_in(web, "bob")
    web.clock.advance(1)
    assert "Their number is unknown" in desk.done("/operator/user?id=ada", action="end-all")
    handle = handle_of(web, bob)
    path = "/operator/"
    assert "There is no such session" in desk.done(path, action="end", handle="no handle")
    response = desk.send(path, action="end", handle="no handle")
    proof = parse(desk.text(response.location)).all("input", name="form_token")[0]["value"]
    fields = {"form_token": proof, "action": "end", "handle": handle}
    assert desk.operator.post(path, data=fields).status_code == 303, "the form of a page with a message is good"
    assert not lives(web, ada)
    assert not lives(web, bob)


def test_flask_s_own_cookies_leave_nothing_to_operate() -> None:
    """With Flask's own sessions, the page reports that there is no session to list or end."""
    web = Web(setting="IGNORED", SESSION_TYPE="null")
    web.app.register_blueprint(operator_page(web.sessions, authorize=lambda: True))
    response = web.browser.get("/operator/")
    assert "can be neither listed nor ended" in response.text
