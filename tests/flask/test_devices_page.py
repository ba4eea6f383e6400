"""The page on which users see where they are signed in, and end what they do not want."""

from __future__ import annotations

import math

import pytest
from flask import Response
from flask.testing import FlaskClient
from support import seams
from support.account import FIREFOX, IPHONE, Account, both, cards, done, forms, messages, read
from support.markup import parse
from support.web import end
from werkzeug.test import TestResponse

from holdfast.clock import DAY, HOUR, MINUTE, SECOND
from holdfast.flask import session
from holdfast.records.metadata import Device
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore, FakeClock

# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_page_tells_what_a_user_needs() -> None:
    """Each session has its device in words or its name, its times, its address if kept, and the present one a mark."""
    account = Account(SESSION_KEEP_ADDRESS=True, PERMANENT_SESSION_LIFETIME=3600)
    phone = account.sign_in(agent=IPHONE)
    account.do(lambda: setattr(session, "label", "Grandma’s phone"), phone)
    account.clock.advance(3000)
    laptop = account.sign_in()
    account.clock.advance(180)
    assert cards(account.page(laptop)) == [
        {
            "name": "Firefox on Linux This device",
            "under": "",
            "Last used": "now",
            "Signed in": "3 minutes ago",
            "Signed in from": "127.0.0.1",
        },
        {
            "name": "Grandma’s phone",
            "under": "Mobile Safari on iOS (iPhone)",
            "Last used": "53 minutes ago",
            "Signed in": "53 minutes ago",
            "Signed in from": "127.0.0.1",
        },
    ]


def test_times_are_there_for_machines_too(account: Account) -> None:
    """Each time is a `time` element in UTC, besides what it is in words."""
    here = account.sign_in()
    moment = account.page(here).one("time")
    assert (moment["datetime"], moment["title"]) == ("2027-01-15T08:00:00+00:00", "2027-01-15 08:00 UTC")
    assert moment.text == "just now"


def test_an_address_that_is_not_kept_is_not_shown(account: Account) -> None:
    """Without ``SESSION_KEEP_ADDRESS`` the page has no word of addresses."""
    assert cards(account.page(account.sign_in()))[0].keys() == {"name", "under", "Last used", "Signed in"}


def test_a_user_sees_no_one_else(account: Account) -> None:
    """Only the sessions of the present session's own user are shown, and visitors' are not."""
    here, there = account.sign_in(), account.sign_in(agent=IPHONE)
    account.sign_in("bob", agent=IPHONE)
    account.put(account.app.test_client(), cart=[1])
    page = account.page(here)
    assert [card["name"] for card in cards(page)] == ["Firefox on Linux This device", "Mobile Safari on iOS (iPhone)"]
    assert [field["value"] for field in page.all("input", name="handle")] == [account.handle(there)]


def test_the_present_session_comes_first_and_then_the_last_used(account: Account) -> None:
    """The order is that of their last use, after the one that asks."""
    browsers = [account.sign_in() for _ in range(4)]
    for number, browser in enumerate(browsers):
        account.do(lambda number=number: setattr(session, "label", f"number {number}"), browser)  # type: ignore[misc]
        account.clock.advance_ms(4 * DAY)
    account.data(browsers[1])
    names = [card["name"] for card in cards(account.page(browsers[0]))]
    assert names == ["number 0 This device", "number 1", "number 3", "number 2"]


def test_who_is_signed_in_nowhere_else_is_told_so(account: Account) -> None:
    """With one session there is no other to end, and the page shows that."""
    page = account.page(account.sign_in())
    assert [form["action"] for form in forms(page)] == ["name"]
    assert "You are not signed in on other devices." in page.text


def test_a_device_that_is_not_known(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a parser, and for what it does not know, the page says that the device is unknown."""
    here = account.sign_in(agent="Mystery/1.0")
    seams.DEVICE_METADATA.plant(monkeypatch, lambda _: Device().as_meta())
    account.sign_in(agent=FIREFOX)
    assert [card["name"] for card in cards(account.page(here))] == ["Unknown device This device", "Unknown device"]


def test_a_device_of_which_little_is_known(account: Account) -> None:
    """A robot without a system is named by what it is."""
    here = account.sign_in(agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    assert cards(account.page(here))[0]["name"] == "Googlebot (Spider) This device"


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (59 * SECOND, "just now"),
        (MINUTE, "1 minute ago"),
        (HOUR - 1, "59 minutes ago"),
        (HOUR, "1 hour ago"),
        (DAY - 1, "23 hours ago"),
        (DAY, "1 day ago"),
        (59 * DAY, "59 days ago"),
        (61 * DAY, "2 months ago"),
    ],
)
def test_how_long_ago_a_login_was(age: int, words: str) -> None:
    """A time is shown as text, in the largest unit that fits."""
    account = Account(PERMANENT_SESSION_LIFETIME=100 * DAY // SECOND)
    here = account.sign_in()
    account.clock.advance_ms(age)
    assert cards(account.page(here))[0]["Signed in"] == words


@pytest.mark.parametrize(
    ("age", "idle", "words"),
    [
        (5 * MINUTE, HOUR, "5 minutes ago"),
        (3 * HOUR, 20 * HOUR, "3 hours ago"),
        (HOUR, 20 * HOUR, "between 1 hour ago and 45 minutes ago"),
        (10 * MINUTE, 20 * HOUR, "between 10 minutes ago and now"),
        (2 * DAY, 30 * DAY, "2 days ago"),
        (10 * DAY, 30 * DAY, "10 days ago"),
    ],
)
def test_a_last_use_is_told_as_closely_as_it_is_known(age: int, idle: int, words: str) -> None:
    """Where the idle timeout is not moved on at each use, the page says between when and when the last one was."""
    account = Account(PERMANENT_SESSION_LIFETIME=idle // SECOND)
    account.sign_in()
    account.clock.advance_ms(age)
    here = account.sign_in()
    assert cards(account.page(here))[1]["Last used"] == words


def test_a_last_use_near_the_end_is_not_known(account: Account) -> None:
    """When a session cannot be lengthened any more, its uses are not noted, and the page does not say that it rests."""
    account.app.config["SESSION_ABSOLUTE_LIFETIME"] = 33 * DAY // SECOND
    there = account.sign_in()
    account.clock.advance_ms(5 * DAY)
    account.data(there)
    account.clock.advance_ms(15 * DAY)
    account.data(there)
    here = account.sign_in()
    assert cards(account.page(here))[1]["Last used"] == "between 18 days ago and now"


def test_a_session_was_not_used_before_it_began(account: Account) -> None:
    """If the absolute timeout shortens the idle one, the last use is not shown earlier than the login."""
    account.app.config["SESSION_ABSOLUTE_LIFETIME"] = DAY // SECOND
    account.sign_in()
    account.clock.advance_ms(2 * HOUR)
    here = account.sign_in()
    assert cards(account.page(here))[1]["Last used"] == "between 2 hours ago and now"


def test_no_secret_is_on_the_page(account: Account) -> None:
    """Neither a token nor an owner value is in the page, and a handle is nowhere but in the form that needs it."""
    here, there = account.sign_in(), account.sign_in()
    response = here.get("/account/devices/")
    for secret in (account.token(here), account.token(there), account.who(here), account.handle(here)):
        assert secret is not None
        assert secret not in response.text + str(response.headers)
    assert response.text.count(account.handle(there)) == 1
    assert parse(response.text).one("input", name="handle")["value"] == account.handle(there)


def test_no_cache_and_no_frame_has_the_page(account: Account) -> None:
    """The page is not cached, not shown in a frame, and its forms send their origin."""
    here = account.sign_in()
    for response in [*both(account, here), *both(account, account.app.test_client())]:
        assert response.headers.getlist("Cache-Control") == ["no-store"]
        assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Vary"] == "Cookie"


def test_an_application_s_own_policy_stays(account: Account) -> None:
    """A Content-Security-Policy that the application sends for every page is sent for this one, too."""

    @account.app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    response = account.sign_in().get("/account/devices/")
    assert response.headers.getlist("Content-Security-Policy") == ["default-src 'self'"]


def test_the_page_costs_two_calls(account: Account) -> None:
    """Showing the page costs one load for the session and one call for the list of the user's sessions."""
    here = account.sign_in()
    account.sign_in()
    account.sign_in("bob")
    account.store.reset()
    account.page(here)
    assert account.store.counts == {"load": 1, "find": 1}


def test_the_stylesheet_costs_no_call_and_may_be_cached(account: Account) -> None:
    """The stylesheet is served without a look at the session."""
    here = account.sign_in()
    link = account.page(here).one("link", rel="stylesheet")
    account.store.reset()
    with here.get(link["href"]) as response:
        assert response.data
    assert (response.status_code, response.mimetype) == (200, "text/css")
    assert "no-store" not in response.headers["Cache-Control"]
    assert "Cookie" not in response.headers.get("Vary", "")
    assert not account.store.counts


def test_a_user_with_very_many_sessions_gets_a_page(account: Account) -> None:
    """The present session and the latest 99 of 130 are shown in one call; all others can be ended."""
    here = account.sign_in()
    for number in range(129):
        account.clock.advance(1)
        account.sign_in(agent=IPHONE if number < 30 else FIREFOX)
    account.store.reset()
    page = account.page(here)
    assert account.store.counts == {"load": 1, "find": 1}
    assert [card["name"].partition(" ")[0] for card in cards(page)] == ["Firefox"] * 100
    assert "These are the 100 most recently used of 130 sessions." in page.text
    assert "This device" in page.text
    for _ in range(370):
        account.sign_in()
    assert "These are 100 of 500 or more sessions, not always the latest." in account.page(here).text
    done(account.post(here, account.form(here, "end-others")))
    assert len(cards(account.page(here))) == 1


# --- ending ----------------------------------------------------------------------------------------------------------


def test_one_session_is_ended(account: Account) -> None:
    """The other browser is signed out on its next request, no other is, and the page reports it once."""
    here, there, third, bob = (
        account.sign_in(),
        account.sign_in(agent=IPHONE),
        account.sign_in(),
        account.sign_in("bob"),
    )
    done(account.end(here, there))
    assert not account.is_in(there)
    assert account.is_in(here)
    assert account.is_in(third)
    assert account.is_in(bob, "bob")
    assert messages(account.page(here)) == ["The session has ended: Mobile Safari on iOS (iPhone)."]
    assert messages(account.page(here)) == []


def test_all_other_sessions_are_ended(account: Account) -> None:
    """All of the user's other browsers are out, and no other user's; the present one goes on under a new token."""
    here, bob = account.sign_in(), account.sign_in("bob")
    others = [account.sign_in() for _ in range(3)]
    old = account.token(here)
    done(account.post(here, account.form(here, "end-others")))
    assert [account.is_in(browser) for browser in others] == [False] * 3
    assert account.is_in(here)
    assert account.is_in(bob, "bob")
    assert account.token(here) != old
    page = account.page(here)
    assert messages(page) == ["All your other sessions have ended."]
    assert len(cards(page)) == 1


def test_no_user_ends_another_s_session(account: Account) -> None:
    """A handle of another user's, or of a visitor's, is answered like one that does not exist, and no session ends."""
    ada, bob, visitor = account.sign_in(), account.sign_in("bob"), account.app.test_client()
    account.put(visitor, cart=[1])
    other = account.sign_in()
    fields = account.form(ada, "end", account.handle(other))
    texts = set()
    for handle in (account.handle(bob), account.handle(visitor), "0" * 64):
        page = read(account.post(ada, {**fields, "handle": handle}), 404)
        texts.add(page.text)
        assert page.one("p", role="alert").text == "There is no such session. It may have ended already."
    assert len(texts) == 1
    assert account.is_in(bob, "bob")
    assert account.data(visitor) == {"cart": [1]}
    assert account.is_in(other)


@pytest.mark.parametrize("handle", ["", "x", "0" * 63, "G" * 64, "0" * 65, "\0", "../x", "ü" * 64, None])
def test_what_is_no_handle_ends_nothing(account: Account, handle: str | None) -> None:
    """Anything else in the place of a handle is answered with 404, too."""
    here = account.sign_in()
    other = account.sign_in()
    fields = account.form(here, "end", account.handle(other))
    del fields["handle"]
    assert account.post(here, {**fields, **({} if handle is None else {"handle": handle})}).status_code == 404
    assert account.is_in(other)


def test_the_cut_off_of_a_user_is_no_session(account: Account) -> None:
    """The keys of other records, which a user may work out, are answered like those of no session."""
    here, other = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(other))
    account.sessions.revoke_all("bob")
    keys = account.sessions.manager.keys
    key = keys.cutoff_key(keys.owner_of("bob"))
    before = account.records()
    assert account.post(here, {**fields, "handle": key}).status_code == 404
    assert account.records() == before


def test_a_session_that_has_ended_meanwhile(account: Account) -> None:
    """A second click, or a late one, gets an error, on a page that is up to date."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    account.do(end, there)
    page = read(account.post(here, fields), 404)
    assert len(cards(page)) == 1


def test_the_present_session_is_not_ended_here(account: Account) -> None:
    """The session in use is ended by signing out, which may take more than the session."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    page = read(account.post(here, {**fields, "handle": account.handle(here)}), 400)
    assert page.one("p", role="alert").text == "You are using this session. Sign out to end it."
    assert account.is_in(here)


def test_an_end_that_is_not_confirmed_is_not_called_sure(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store cannot promise that the session stays ended, the page says so."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    monkeypatch.setattr(account.sessions, "revoke", lambda _: "unconfirmed")
    done(account.post(here, fields))
    assert messages(account.page(here)) == [
        "The session has ended, but this is not confirmed. Check again in a minute."
    ]


def test_an_end_of_all_others_that_is_not_confirmed_is_not_called_sure() -> None:
    """Where the store has no room for what keeps out a login that is going on, the page says so."""
    clock = FakeClock()
    store = FailingStore(MemoryStore(clock=clock))
    account = Account(inner=lambda _: store)
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end-others")
    store.fail("create", times=math.inf)
    done(account.post(here, fields))
    assert messages(account.page(here)) == [
        "Your other sessions have ended, but this is not confirmed. Try again in a minute."
    ]
    assert not account.is_in(there)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(account: Account, method: str) -> None:
    """Only viewing the page and sending its forms are possible."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    assert here.open("/account/devices/", method=method, data=fields).status_code == 405
    assert account.is_in(there)


def test_a_link_ends_nothing(account: Account) -> None:
    """The fields of a form have no effect in a query, by GET, HEAD or POST."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    assert here.get("/account/devices/", query_string=fields).status_code == 200
    assert here.head("/account/devices/", query_string=fields).status_code == 200
    assert here.post("/account/devices/", query_string=fields).status_code == 400
    for name in fields:
        others = {field: value for field, value in fields.items() if field != name}
        assert here.post("/account/devices/", query_string={name: fields[name]}, data=others).status_code in {400, 404}
    assert account.is_in(there)


@pytest.mark.parametrize("action", ["", "destroy", "END", None])
def test_an_unknown_action_is_refused(account: Account, action: str | None) -> None:
    """A form that asks for something else is refused."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    del fields["action"]
    assert account.post(here, {**fields, **({} if action is None else {"action": action})}).status_code == 400
    assert account.is_in(there)


def test_a_store_that_is_down_is_no_logout(account: Account) -> None:
    """During an outage the page is answered with 503, and the session is there when it is over."""
    account.app.config["PROPAGATE_EXCEPTIONS"] = False
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    with account.failing.outage():
        assert [here.get("/account/devices/").status_code, account.post(here, fields).status_code] == [503, 503]
    assert account.is_in(here)
    assert account.is_in(there)


# --- names -----------------------------------------------------------------------------------------------------------


def name(account: Account, browser: FlaskClient, label: str) -> TestResponse:
    """Send the form that names the present session."""
    return account.post(browser, {**account.form(browser, "name"), "label": label})


def test_a_device_is_named(account: Account) -> None:
    """The name is shown, there and on other devices, is in the field, and goes when the field is emptied."""
    here, there = account.sign_in(), account.sign_in(agent=IPHONE)
    done(name(account, here, "  Work laptop "))
    page = account.page(here)
    assert messages(page) == ["The name has been saved."]
    assert [(card["name"], card["under"]) for card in cards(page)] == [
        ("Work laptop This device", "Firefox on Linux"),
        ("Mobile Safari on iOS (iPhone)", ""),
    ]
    assert page.one("input", name="label")["value"] == "Work laptop"
    assert cards(account.page(there))[1]["name"] == "Work laptop"
    done(name(account, here, "   "))
    page = account.page(here)
    assert messages(page) == ["The name has been removed."]
    assert cards(page)[0]["name"] == "Firefox on Linux This device"


@pytest.mark.parametrize("label", ["x" * 101, "a\nb", "a\u202eb", "\x00"])
def test_a_name_that_cannot_be_kept(account: Account, label: str) -> None:
    """A name that is too long, or no line of text, is refused beside its field, which keeps what was typed."""
    here = account.sign_in()
    page = read(name(account, here, label), 400)
    field = page.one("input", name="label")
    assert field["aria-invalid"] == "true"
    problem = page.one("p", class_="hf-wrong")
    assert problem["id"] in field["aria-describedby"].split()
    assert problem.text == "Use one line of at most 100 characters."
    assert account.see(lambda: session.label, here) is None
    done(name(account, here, "x" * 100))


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "100 %(device)s %s %",
    "&lt;b&gt;",
    "</title></h2>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_text(account: Account, text: str) -> None:
    """Any name is shown as text: in the heading, in the field, refused or not, and in the report of an end."""
    here, there = account.sign_in(), account.sign_in()
    shape = [element.tag for element in account.page(there).walk()]
    done(name(account, there, text))
    account.page(there)
    page = account.page(there)
    assert page.one("input", name="label")["value"] == text
    assert cards(page)[0]["name"] == f"{text} This device"
    assert [element.tag for element in page.walk() if element.tag != "p"] == [tag for tag in shape if tag != "p"]
    assert cards(account.page(here))[1]["name"] == text
    refusal = read(name(account, here, text + "x" * 100), 400)
    assert refusal.one("input", name="label")["value"] == text + "x" * 100
    done(account.end(here, there))
    assert messages(account.page(here)) == [f"The session has ended: {text}."]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_device_names_are_text(account: Account, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any name of a device is shown as text."""
    seams.DEVICE_METADATA.plant(monkeypatch, lambda _: Device(text, text, text).as_meta())
    here, there = account.sign_in(), account.sign_in()
    page = account.page(here)
    assert cards(page)[1]["name"] == f"{text} on {text}"
    assert page.all("script") == page.all("img") == page.all("b") == []
    done(account.end(here, there))
    assert messages(account.page(here)) == [f"The session has ended: {text} on {text}."]
