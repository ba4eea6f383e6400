"""The operator's page: for operators alone, and at the same cost however many sessions there are."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import abort, redirect, request
from flask.testing import FlaskClient
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.markup import parse
from support.web import Web
from werkzeug.test import TestResponse

from holdfast import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.pages import operator_page
from holdfast.observers.tally import Tally
from holdfast.store import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock
from holdfast.urls import open_store

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)

PAGES = ("/operator/", "/operator/sessions", "/operator/user", "/operator/survey", "/operator/everyone")


class Bare:
    """A store that has nothing but the five methods."""

    def __init__(self, clock: FakeClock) -> None:
        inner = MemoryStore(clock=clock)
        self.load, self.create, self.replace = inner.load, inner.create, inner.replace
        self.touch, self.delete = inner.touch, inner.delete


class Desk:
    """An application with the operator's page, and an operator at it.

    Attributes:
        web: The application.
        operator: The operator's browser, signed in.
        ticks: What the page takes for the time of day, in seconds.
    """

    def __init__(self, web: Web, **page: Any) -> None:
        self.web = web
        self.ticks = iter(range(1_000_000))
        page.setdefault("authorize", lambda: session.get("role") == "operator" and "Grace")
        web.app.register_blueprint(operator_page(web.sessions, timer=lambda: next(self.ticks), **page))
        self.operator = web.app.test_client()
        web.do(sign_in_operator, self.operator)

    def get(self, path: str = "/operator/", browser: FlaskClient | None = None) -> TestResponse:
        """Return a page."""
        return (browser or self.operator).get(path)

    def text(self, path: str, status: int = 200) -> str:
        """Return the HTML of a page, which must be answered with *status*."""
        response = self.get(path)
        assert response.status_code == status, response.text
        return response.text

    def send(self, path: str, **fields: str) -> TestResponse:
        """Send a form of the page at *path*, as the operator's browser does."""
        proof = re.search(r'name="form_token" value="([^"]*)"', self.get(path).text)
        assert proof, f"{path} has no form"
        return self.operator.post(path, data={"form_token": proof[1], **fields})

    def done(self, path: str, **fields: str) -> str:
        """Send a form, which must be answered with 303, and return the page that is shown then."""
        response = self.send(path, **fields)
        assert response.status_code == 303, response.text
        return unescape(self.text(response.location))


def sign_in_operator() -> None:
    """Sign the operator in."""
    session.bind("operator")
    session["role"] = "operator"


def sign_in(web: Web, name: str = "ada", header: str = FIREFOX, label: str | None = None) -> FlaskClient:
    """Sign *name* in, in a browser of its own, and return the browser."""
    browser = web.app.test_client()

    def view() -> None:
        session.bind(name)
        session.label = label

    web.do(view, browser, headers={"User-Agent": header})
    return browser


def handle_of(web: Web, browser: FlaskClient) -> str:
    """Return the handle of a browser's session."""
    handle: str = web.see(lambda: session.handle, browser)
    return handle


def lives(web: Web, browser: FlaskClient) -> bool:
    """Tell whether a browser is signed in."""
    return web.see(lambda: session.owner, browser) is not None


@pytest.fixture
def desk() -> Desk:
    """Return an operator at an application on a memory store, with a tally."""
    clock = FakeClock()
    return Desk(Web(lambda _: MemoryStore(clock=clock), observer=Tally()))


# --- who may see it --------------------------------------------------------------------------------------------------


def test_there_is_no_page_without_an_authorizer(web: Web) -> None:
    """Without a function that tells who is an operator, the page cannot be made."""
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
    """Whoever is not let in is told that there is no such page, whatever they ask for."""
    other = sign_in(desk.web)
    with desk.get(path) as response:
        assert response.status_code == 200
    assert desk.get(path, other).status_code == 404
    assert other.options(path).status_code == 404
    if path in PAGES[1:]:
        assert other.post(path, data={"action": "begin", "word": "everyone"}).status_code == 404
    assert lives(desk.web, other)


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
    """What is neither a name nor True is a mistake, not a permission."""
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


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_numbers_come_from_the_tally(desk: Desk) -> None:
    """What the tally has counted is shown as totals, latencies and charts."""
    sign_in(desk.web)
    sign_in(desk.web, "bob")
    page = desk.text("/operator/")
    assert re.search(r"Sessions made</th><td>3</td><td>3</td>", page)
    assert re.search(r'<th scope="row">create</th><td>3</td><td>0</td><td>[\d.e-]+ ms</td>', page)
    assert page.count('role="img"') == 8
    assert "Saves by outcome" in page


def test_numbers_cost_the_operator_s_own_session_alone(desk: Desk) -> None:
    """However many sessions there are, the numbers cost one lookup: that of who looks at them."""
    for number in range(20):
        sign_in(desk.web, f"user {number}")
    desk.web.store.reset()
    desk.get()
    assert desk.web.store.counts == {"load": 1}


def test_without_a_tally_the_page_says_how_to_add_one(web: Web) -> None:
    """Where nobody counts, it says in a line what to do."""
    assert "Session(app, observer=Tally())" in Desk(web).text("/operator/")


def test_rejections_and_outages_are_shown(desk: Desk) -> None:
    """Cookies that were not accepted are counted by reason, and what the store failed is, too."""
    web = desk.web
    for _ in range(3):
        web.see(lambda: session.get("a"), web.with_token("A" * 43))
    web.app.config["PROPAGATE_EXCEPTIONS"] = False
    with web.failing.outage():
        web.do(lambda: session.get("a"), web.with_token("A" * 43))
    page = desk.text("/operator/")
    assert "unknown_id: 3" in page
    assert "store_unavailable: 1" in page
    assert re.search(r"Requests and calls that the store failed</th><td>1</td>", page)


# --- a list of all ---------------------------------------------------------------------------------------------------


def test_a_thousand_sessions_page_by_page() -> None:
    """A walk by the links meets every session once, at one call of the store for each page and nothing more."""
    desk = Desk(Web(observer=Tally()), per_page=50)
    web = desk.web
    for number in range(999):
        sign_in(web, f"user {number}")
    handles = {info.handle for info in web.sessions.scan(limit=2000).items}
    assert len(handles) == 1000
    seen: set[str] = set()
    path, pages = "/operator/sessions", 0
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
    path = "/operator/sessions"
    while path:
        page = desk.text(path)
        seen |= set(re.findall(r'name="handle" value="([0-9a-f]{64})"', page))
        link = re.search(r'href="([^"]+)" rel="next"', page)
        path = unescape(link[1]) if link else ""
    assert len(seen) == 12
    assert desk.text("/operator/user?id=user+3").count("Firefox on Linux") == 2
    assert "<strong>13 sessions</strong>" in desk.send("/operator/survey", most="10000").text
    assert desk.get("/operator/sessions?after=made+up").status_code in {200, 400}
    page = desk.done("/operator/everyone", action="begin", word="everyone")
    while "Not yet all" in page:
        page = desk.done("/operator/everyone", action="on")
    assert not any(lives(web, browser) for browser in browsers)
    assert lives(web, desk.operator)
    if isinstance(web.memory, Closes):
        web.memory.close()


def test_what_is_shown_of_a_session(desk: Desk) -> None:
    """A session is shown by device, label, user, and a piece of its handle; what would give it away is not."""
    web = desk.web
    browser = sign_in(web, label="Work laptop")
    web.do(lambda: session.update(cart="a secret thing"), browser)
    page = desk.text("/operator/sessions")
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
    assert "192.0.2.7" in desk.text("/operator/sessions")


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
    page = desk.text(f"/operator/sessions?{query}")
    assert len(re.findall('name="handle" value="[0-9a-f]{64}"', page)) == found
    assert "of the 4 sessions on this page" in page


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 'nan' * 3 }}"])
def test_what_comes_from_outside_is_escaped(desk: Desk, label: str) -> None:
    """Labels, user ids, filters and places to go on are text, wherever they are shown."""
    sign_in(desk.web, label, label=label)
    for path in ("sessions?device={}&age={}&after={}", "user?id={}"):
        page = desk.get(f"/operator/{path.replace('{}', label)}").text
        assert "<script>" not in page
        assert "<img" not in page
        assert "nannannan" not in page
    assert unescape(desk.text("/operator/sessions")).count(label) == 1


def test_hostile_devices_are_escaped_in_charts(desk: Desk) -> None:
    """A device that says it is markup is text in the table and in the chart."""

    def view() -> None:
        session.bind("ada")
        session.note("browser", "<b>&amp;")

    desk.web.do(view)
    page = desk.text("/operator/sessions")
    assert "<b>&amp;" not in page
    assert page.count("&lt;b&gt;&amp;amp;") >= 3


@pytest.mark.parametrize("after", ["%00", "a%0Ab", "x" * 501])
def test_a_place_that_no_store_gave_is_refused(desk: Desk, after: str) -> None:
    """A made-up place to go on is told as such, and does not reach the store."""
    desk.web.store.reset()
    assert "Begin at its start" in desk.text(f"/operator/sessions?after={after}", 400)
    assert "scan" not in desk.web.store.counts


# --- one user --------------------------------------------------------------------------------------------------------


def test_a_user_is_found_by_id(desk: Desk) -> None:
    """A search shows the user's sessions and what stands for the user elsewhere, and costs what they cost."""
    web = desk.web
    for name in ("ada", "ada", *(f"user {number}" for number in range(20))):
        sign_in(web, name)
    web.store.reset()
    page = desk.text("/operator/user?id=ada")
    assert web.store.counts == {"load": 1 + 2, "keys_of": 1}
    assert page.count("Firefox on Linux") == 2
    assert f"{web.sessions.manager.keys.owner_of('ada')[:12]}…" in page
    assert "This user has no session" in desk.text("/operator/user?id=nobody")


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


def test_an_operator_s_own_session_is_kept(desk: Desk) -> None:
    """Operators who end their own sessions keep the one they work with."""
    other = sign_in(desk.web, "operator")
    page = desk.done("/operator/user?id=operator", action="end-all")
    assert "Sessions ended: 1. Your own was kept." in page
    assert not lives(desk.web, other)


# --- ending one ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/operator/sessions?device=fire", "/operator/user?id=ada"])
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
    """What is ended already, and what is no handle, is said to be absent."""
    for handle in ("0" * 64, "no handle"):
        assert "There is no such session" in desk.done("/operator/sessions", action="end", handle=handle)


def test_what_the_store_does_not_confirm_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store cannot tell that the end is safe, the operator learns so."""
    browser = sign_in(desk.web)
    handle = handle_of(desk.web, browser)
    monkeypatch.setattr(Session, "revoke", lambda self, handle: "unconfirmed")
    assert "does not confirm" in desk.done("/operator/sessions", action="end", handle=handle)


def test_the_operator_s_own_session_is_not_ended(desk: Desk) -> None:
    """The session that asks cannot be ended here."""
    handle = handle_of(desk.web, desk.operator)
    assert desk.send("/operator/sessions", action="end", handle=handle).status_code == 400
    assert lives(desk.web, desk.operator)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/operator/sessions", {"action": "end"}),
        ("/operator/user?id=ada", {"action": "end"}),
        ("/operator/user?id=ada", {"action": "end-all"}),
        ("/operator/everyone", {"action": "begin", "word": "everyone"}),
        ("/operator/everyone", {"action": "on"}),
    ],
)
@pytest.mark.parametrize("forged", ["", "another", "elsewhere"])
def test_a_forged_form_does_nothing(desk: Desk, path: str, fields: dict[str, str], forged: str) -> None:
    """A form without proof, with that of another session, or from another origin changes nothing."""
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
    assert "Nothing was done" in response.text
    assert lives(web, browser)


def test_an_unknown_action_is_refused(desk: Desk) -> None:
    """A form that asks for what there is not is a bad request."""
    for path in ("/operator/user?id=ada", "/operator/everyone"):
        assert desk.send(path, action="dance").status_code == 400
    assert desk.send("/operator/survey", most="7").status_code == 400


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/operator/sessions", {"action": "end"}),
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
    response = desk.send("/operator/sessions", action="end", handle=handle_of(desk.web, browser))
    assert response.location == "/prove-it"
    assert lives(desk.web, browser)


def test_forms_outlive_a_renewal() -> None:
    """Where the operator's session is due for another token, the page is asked for again, with forms that are good."""
    desk = Desk(Web(SESSION_RENEWAL_INTERVAL=60))
    browser = sign_in(desk.web)
    handle = handle_of(desk.web, browser)
    desk.web.clock.advance(61)
    response = desk.get("/operator/sessions?device=fire")
    assert response.status_code == 303
    proof = parse(desk.text(response.location)).all("input", name="form_token")[0]["value"]
    desk.operator.post("/operator/sessions", data={"form_token": proof, "action": "end", "handle": handle})
    assert not lives(desk.web, browser)


def test_who_has_no_session_is_told_that_forms_need_one(web: Web) -> None:
    """An operator who is let in without a session can look, and is told why nothing else can be done."""
    desk = Desk(web, authorize=lambda: True)
    browser = web.app.test_client()
    assert "no stored session" in browser.get("/operator/sessions").text
    assert "no stored session" not in desk.text("/operator/sessions")
    assert browser.post("/operator/sessions", data={"form_token": "", "action": "end"}).status_code == 400


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


@pytest.mark.parametrize("word", ["", "yes", "everyon"])
def test_everyone_must_be_typed(desk: Desk, word: str) -> None:
    """Without the word nothing is ended."""
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
    assert "stay as they are" in desk.done("/operator/everyone", action="stop")
    assert desk.web.sessions.count() > 1
    assert desk.send("/operator/everyone", action="on").status_code == 400


# --- a breakdown -----------------------------------------------------------------------------------------------------


def test_a_breakdown_says_of_how_many_it_is(desk: Desk) -> None:
    """Counting is on demand, walks over the store in bounded steps, and says whether there are more."""
    for number in range(20):
        sign_in(desk.web, f"user {number % 3}")
    assert "sessions</strong> were counted" not in desk.text("/operator/survey")
    response = desk.send("/operator/survey", most="10000")
    assert response.status_code == 200
    assert "<strong>21 sessions</strong> were counted, 21 of users" in response.text
    assert "There are no more." in response.text
    assert "Firefox on Linux: 20. not known: 1" in response.text
    desk.web.store.reset()
    desk.send("/operator/survey", most="10000")
    assert desk.web.store.counts["scan"] == 1


def test_a_breakdown_stops_in_time() -> None:
    """When the time for a request is up, it says so and shows what it has."""
    desk = Desk(Web(), patience=0.5)
    for number in range(600):
        sign_in(desk.web, f"user {number}")
    assert "The time for one request was up" in desk.send("/operator/survey", most="10000").text


# --- stores that cannot do everything --------------------------------------------------------------------------------


def test_a_store_that_cannot_be_walked_says_so() -> None:
    """Without a walk and an index, pages say what cannot be done, and a session is ended by its handle all the same."""
    desk = Desk(Web(Bare))
    web = desk.web
    browser = sign_in(web)
    handle = handle_of(web, browser)
    assert "Bare cannot list what it holds" in desk.text("/operator/sessions").replace("CountingStore", "Bare")
    for path in ("/operator/survey", "/operator/everyone"):
        assert "cannot list what it holds" in desk.text(path)
    assert "keeps no index by owner" in desk.text("/operator/user?id=ada")
    assert "The session has ended." in desk.done("/operator/sessions", action="end", handle=handle)
    assert not lives(web, browser)


def test_sessions_in_cookies() -> None:
    """Sessions in cookies cannot be listed, and without a store for revocations nothing can end them."""
    desk = Desk(Web(SESSION_STORE="cookie://"))
    for path in PAGES[1:]:
        assert "browsers’ cookies" in unescape(desk.text(path + "?id=ada"))
    assert "SESSION_REVOCATION_STORE" in desk.text("/operator/sessions")


def test_sessions_in_cookies_with_revocation() -> None:
    """With a store for revocations, a user's sessions in cookies are ended, and so is one by its handle."""
    desk = Desk(Web(setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://"))
    web = desk.web
    ada, bob = sign_in(web), sign_in(web, "bob")
    web.clock.advance(1)
    assert "How many is not known" in desk.done("/operator/user?id=ada", action="end-all")
    handle = handle_of(web, bob)
    path = "/operator/sessions"
    assert "There is no such session" in desk.done(path, action="end", handle="no handle")
    response = desk.send(path, action="end", handle="no handle")
    proof = parse(desk.text(response.location)).all("input", name="form_token")[0]["value"]
    fields = {"form_token": proof, "action": "end", "handle": handle}
    assert desk.operator.post(path, data=fields).status_code == 303, "the form of a page with a message is good"
    assert not lives(web, ada)
    assert not lives(web, bob)


def test_flask_s_own_cookies_leave_nothing_to_operate() -> None:
    """Where sessions are Flask's own, the page says that there is nothing to list or end."""
    web = Web(setting="IGNORED", SESSION_TYPE="null")
    web.app.register_blueprint(operator_page(web.sessions, authorize=lambda: True))
    response = web.browser.get("/operator/")
    assert "can be neither listed nor ended" in response.text


# --- a store that is down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/operator/sessions", "/operator/user?id=ada"])
def test_an_outage_is_told_in_the_page(path: str) -> None:
    """Where the store fails under an operator, the page says so with 503, and the numbers are still there."""
    desk = Desk(Web(observer=Tally()), authorize=lambda: True)
    web = desk.web
    operator = web.app.test_client()
    with web.failing.outage():
        response = operator.get(path)
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert "does not answer" in response.text
        assert operator.get("/operator/").status_code == 200


def test_an_outage_shows_nothing_to_who_is_not_let_in(desk: Desk) -> None:
    """Where it cannot be known whether a request is an operator's, the answer is a plain 503."""
    web = desk.web
    with web.failing.outage():
        response = desk.get("/operator/sessions")
    assert response.status_code == 503
    assert "<html" not in response.text


@pytest.mark.parametrize("operation", ["scan", "replace", "delete"])
def test_an_outage_while_everyone_is_ended(desk: Desk, operation: str) -> None:
    """When the store fails on the way, that is told, and asked again the rest is ended."""
    web = desk.web
    for number in range(5):
        sign_in(web, f"user {number}")
    proof = re.search(r'name="form_token" value="([^"]+)"', desk.text("/operator/everyone"))
    assert proof
    web.failing.fail(operation)
    fields = {"form_token": proof[1], "action": "begin", "word": "everyone"}
    assert desk.operator.post("/operator/everyone", data=fields).status_code == 503
    web.failing.heal()
    desk.done("/operator/everyone", action="begin", word="everyone")
    assert web.sessions.count() == 1
