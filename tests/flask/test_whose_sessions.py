"""A user's sessions as the application sees them: listed, labelled, counted, walked over and ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.web import Web, cookies_set, end, rotate

from holdfast import ConfigurationError, StoreUnavailable
from holdfast.clock import DAY
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.stores.contract import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

MINUTE = 60_000


def sign_in(web: Web, name: str = "ada", browser: FlaskClient | None = None) -> FlaskClient:
    """Sign *name* in, in a browser of its own unless one is given, and return the browser."""
    browser = browser or web.app.test_client()
    web.do(lambda: session.bind(name), browser)
    return browser


def listed(web: Web, name: str = "ada", browser: FlaskClient | None = None) -> list[SessionInfo]:
    """Return the sessions of *name* as a view of a browser's request lists them."""
    found: list[SessionInfo] = web.see(lambda: web.sessions.of(name), browser)
    return found


def end_others() -> int:
    """End the user's other sessions, as the view that changes a password."""
    return session.revoke_others()


class Bare:
    """A store with only the five methods."""

    def __init__(self, clock: FakeClock) -> None:
        inner = MemoryStore(clock=clock)
        self.load, self.create, self.replace = inner.load, inner.create, inner.replace
        self.touch, self.delete = inner.touch, inner.delete


@pytest.fixture(params=[pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Web]:
    """Return an application on each kind of store that keeps an index, on its real server."""
    url = url_of_kind(request.param, request, tmp_path)
    made = Web(lambda clock: open_store(url, clock=clock))
    yield made
    if isinstance(made.memory, Closes):
        made.memory.close()


# --- a list of sessions ----------------------------------------------------------------------------------------------


def test_a_list_tells_what_a_page_needs(web: Web) -> None:
    """Each entry has its handle, its owner, its times in milliseconds, and which of them is the one that asks."""
    web.app.config["PERMANENT_SESSION_LIFETIME"] = 600
    here, there = sign_in(web), sign_in(web)
    began = web.clock()
    web.clock.advance(120)
    info = {entry.current: entry for entry in listed(web, browser=here)}
    assert set(info) == {True, False}
    mine, other = info[True], info[False]
    assert (
        mine.handle == web.see(lambda: session.handle, here) != other.handle == web.see(lambda: session.handle, there)
    )
    assert mine.owner == other.owner == web.sessions.manager.keys.owner_of("ada")
    assert (other.created_at, other.last_used_at) == (began, began)
    assert other.idle_deadline == began + 10 * MINUTE
    assert other.absolute_deadline == began + 400 * DAY
    assert other.authenticated_at == began
    assert not other.permanent


def test_the_last_used_comes_first(web: Web) -> None:
    """A user's sessions are listed by their last use."""
    first, second = sign_in(web), sign_in(web)
    handles = [web.see(lambda: session.handle, browser) for browser in (first, second)]
    web.clock.advance_ms(5 * DAY)
    web.data(first)
    assert [entry.handle for entry in web.sessions.of("ada")] == handles


def test_no_session_is_current_outside_of_a_request(web: Web) -> None:
    """Where no request is running, none of the sessions is the current one."""
    sign_in(web)
    (entry,) = web.sessions.of("ada")
    assert not entry.current
    found = web.sessions.get(entry.handle)
    assert found == entry


def test_one_session_by_its_handle(web: Web) -> None:
    """A session is found by its handle, marked when it is the one that asks, and no handle opens anything."""
    here = sign_in(web)
    (entry,) = web.sessions.of("ada")
    assert web.see(lambda: web.sessions.get(entry.handle), here).current
    assert not web.see(lambda: web.sessions.get(entry.handle)).current
    assert web.data(web.with_token(entry.handle)) == {}
    assert web.sessions.get("no handle") is None


@pytest.mark.parametrize("permanent", [True, False])
@pytest.mark.parametrize("sealed", [False, True])
def test_a_list_tells_whether_a_session_is_permanent(permanent: bool, sealed: bool) -> None:
    """The `permanent` of a session is listed, set by itself or by the setting, sealed or not."""
    keys: dict[str, Any] = {"SESSION_SEAL": "cookie", "SESSION_SEAL_KEYS": [new_key()]} if sealed else {}
    web = Web(SESSION_PERMANENT=permanent, **keys)
    here = sign_in(web)
    assert web.sessions.of("ada")[0].permanent is permanent
    web.do(lambda: setattr(session, "permanent", not permanent), here)
    assert web.sessions.of("ada")[0].permanent is not permanent


def test_a_list_costs_one_call(web: Web) -> None:
    """Listing costs one call for each 500 sessions of the user, whatever else the store holds."""
    browsers = [sign_in(web) for _ in range(3)]
    for number in range(20):
        sign_in(web, f"user {number}")
    assert web.calls(lambda: web.sessions.of("ada"), browsers[0]) == {"load": 1, "find": 1}
    web.store.reset()
    web.sessions.of("ada")
    assert web.store.counts == {"find": 1}


# --- labels ----------------------------------------------------------------------------------------------------------


def name_it(text: str | None = "Work laptop") -> Callable[[], None]:
    """Return a view that gives the session a label."""
    return lambda: setattr(session, "label", text)


def test_a_label_is_kept_and_listed(web: Web) -> None:
    """A label is there for the rest of the request, in the next one, and in the list; None removes it."""
    here = sign_in(web)

    def view() -> str | None:
        session.label = " Work laptop "
        return session.label

    assert web.see(view, here) == "Work laptop"
    assert web.see(lambda: session.label, here) == "Work laptop"
    assert web.sessions.of("ada")[0].label == "Work laptop"
    web.do(name_it(None), here)
    assert web.see(lambda: session.label, here) is None
    assert web.sessions.of("ada")[0].label is None


def test_a_label_is_a_change_and_the_same_one_is_none(web: Web) -> None:
    """Setting only a label is written once; setting it again does not write."""
    here = sign_in(web)
    assert web.calls(name_it(), here) == {"load": 1, "replace": 1}
    assert web.calls(name_it(), here) == {"load": 1}
    assert web.calls(lambda: session.label, here) == {"load": 1}


def test_a_label_stays_with_the_session(web: Web) -> None:
    """Saves, rotations, renewals, a change of password and another login of the user leave the label."""
    here = sign_in(web)
    web.do(name_it(), here)
    web.do(lambda: session.update(a=1), here)
    web.do(rotate, here)
    web.do(end_others, here)
    web.clock.advance(1)
    sign_in(web, browser=here)
    web.app.config["SESSION_RENEWAL_INTERVAL"] = 60
    web.clock.advance(61)
    old = web.token(here)
    web.data(here)
    assert web.token(here) != old
    assert [entry.label for entry in web.sessions.of("ada")] == ["Work laptop"]


def test_a_label_is_merged(web: Web) -> None:
    """A label and data that two requests change at once are both kept, and so is a label with another one's device."""
    here = sign_in(web)

    def view() -> None:
        session.label = "Work laptop"
        web.do(lambda: session.update(other=1), web.with_token(web.token(here)))
        session["mine"] = 1

    web.do(view, here)
    assert {key: web.data(here)[key] for key in ("mine", "other")} == {"mine": 1, "other": 1}
    assert web.see(lambda: session.label, here) == "Work laptop"

    def late() -> None:
        session["more"] = 1
        web.do(name_it("Kitchen"), web.with_token(web.token(here)))

    web.do(late, here)
    assert web.see(lambda: session.label, here) == "Kitchen"
    assert web.data(here)["more"] == 1


@pytest.mark.parametrize("change", [lambda: session.bind("bob"), lambda: session.pop("_user_id"), end])
def test_a_label_goes_with_its_user(web: Web, change: Callable[[], Any]) -> None:
    """Where somebody else signs in, or the user signs out, the label, the device and the rest are gone."""
    web.do(lambda: session.update(cart=[1]))
    web.do(lambda: session.update(_user_id="ada", label="mine"))
    web.do(name_it())

    def view() -> str | None:
        session.label = "not for long"
        change()
        return session.label

    assert web.see(view) is None
    web.put(a=1)
    assert web.see(lambda: session.label) is None
    handle = web.see(lambda: session.handle)
    info = web.sessions.get(handle)
    assert info is not None
    assert info.label is None
    assert "browser" not in info.meta


def test_a_label_set_with_the_login_is_kept(web: Web) -> None:
    """A label may be given by the request that signs in."""

    def view() -> None:
        session.bind("ada")
        session.label = "Work laptop"

    web.do(view)
    assert web.sessions.of("ada")[0].label == "Work laptop"


def test_an_empty_session_is_not_stored_for_its_label(web: Web) -> None:
    """A visitor without anything in the session leaves no record by a label."""
    assert not cookies_set(web.do(name_it()))
    assert web.records() == 0


def test_a_bad_label_changes_nothing(web: Web) -> None:
    """A refused label does not change the present one."""
    here = sign_in(web)
    web.do(name_it(), here)

    def view() -> None:
        with pytest.raises(ValueError, match="too long"):
            session.label = "x" * 101

    assert web.calls(view, here).get("replace") is None
    assert web.see(lambda: session.label, here) == "Work laptop"


# --- all sessions ----------------------------------------------------------------------------------------------------


def walk(web: Web, limit: int) -> list[SessionInfo]:
    """Return all sessions, page by page."""
    page = web.sessions.scan(limit=limit)
    found = list(page.items)
    while page.after is not None:
        page = web.sessions.scan(page.after, limit=limit)
        found += page.items
    return found


def test_all_sessions_page_by_page(shop: Web) -> None:
    """A walk shows every live session once, in pages, and no record that is left by a rotation or an end."""
    browsers = [sign_in(shop, f"user {number}") for number in range(5)]
    shop.put(cart=[1])
    shop.do(rotate, browsers[0])
    shop.sessions.revoke_all("user 1")
    shop.do(end, browsers[2])
    shop.clock.advance(1)
    handles = [shop.see(lambda: session.handle, browser) for browser in (*browsers, shop.browser)]
    alive = sorted(handle for handle in handles if handle)
    assert len(alive) == 4
    for limit in (1, 3, 100):
        assert sorted({entry.handle for entry in walk(shop, limit)}) == alive
    assert shop.sessions.count() == 4


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True, float("nan")])
def test_a_limit_is_a_whole_number(web: Web, limit: Any) -> None:
    """Any other number of sessions is an error that says so, and no outage of the store."""
    sign_in(web)
    for call in (partial(web.sessions.scan, None), partial(web.sessions.of, "ada")):
        with pytest.raises(ValueError, match="must be a whole number, 1 or more"):
            call(limit=limit)
    assert len(web.sessions.scan(limit=10**30).items) == 1


def test_what_is_kept_is_a_handle(web: Web) -> None:
    """A `sid`, or what a client sends, is refused as the handle to keep, before any session ends."""
    browser = sign_in(web)
    for keep in (web.see(lambda: session.sid, browser), "", "\ud800", "A" * 64):
        with pytest.raises(ValueError, match="keep is no handle"):
            web.sessions.revoke_all("ada", keep=keep)
    assert len(web.sessions.of("ada")) == 1


def test_an_expired_session_is_not_counted(web: Web) -> None:
    """A session that is over by its own times is neither shown nor counted, though its record is still there."""
    web.app.config["PERMANENT_SESSION_LIFETIME"] = 600
    sign_in(web)
    web.clock.advance(601)
    assert web.records() == 1
    assert web.sessions.count() == 0
    assert walk(web, 10) == []


def test_a_page_is_one_call(web: Web) -> None:
    """Each page costs one call, and a count one for every 500 records."""
    for _ in range(4):
        sign_in(web)
    web.store.reset()
    web.sessions.scan(limit=2)
    assert web.store.counts == {"scan": 1}
    web.store.reset()
    web.sessions.count()
    assert web.store.counts == {"scan": 1}


def test_a_store_that_cannot_be_walked_says_so() -> None:
    """On a store without a walk, counting and what is made of it are an error that names the store."""
    web = Web(Bare)
    everything: list[Callable[[], Any]] = [web.sessions.scan, web.sessions.count, web.sessions.revoke_everyone]
    for call in everything:
        with pytest.raises(ConfigurationError, match="cannot list what it holds"):
            call()


def test_applications_that_share_a_store_see_their_own() -> None:
    """With prefixes of their own, two applications on one store neither show, count nor end each other's sessions."""
    store = MemoryStore(clock=FakeClock())
    one, two = Web(lambda _: store), Web(lambda _: store, SESSION_KEY_PREFIX="two:")
    here, there = sign_in(one), sign_in(two)
    sign_in(two)
    assert (one.sessions.count(), two.sessions.count()) == (1, 2)
    (entry,) = one.sessions.of("ada")
    assert two.sessions.get(entry.handle) is None
    assert two.sessions.revoke_everyone() == 2
    assert one.see(lambda: session.owner, here)
    assert two.see(lambda: session.owner, there) is None


# --- a changed password ----------------------------------------------------------------------------------------------


def test_a_changed_password_ends_all_other_sessions(shop: Web) -> None:
    """One call ends the user's other sessions and gives the kept one a new id; others' sessions are left alone."""
    browsers = [sign_in(shop) for _ in range(3)]
    bob = sign_in(shop, "bob")
    copy = shop.with_token(shop.token(browsers[0]))
    assert shop.see(end_others, browsers[0]) == 2
    owners = [shop.see(lambda: session.owner, browser) is not None for browser in (*browsers, copy, bob)]
    assert owners == [True, False, False, False, True]
    assert [entry.handle for entry in shop.sessions.of("ada")] == [shop.see(lambda: session.handle, browsers[0])]


def test_a_login_under_way_during_a_changed_password_gives_way(shop: Web) -> None:
    """A login that began before the change, with the old password, leaves no session and sends no cookie."""
    here, other = sign_in(shop), shop.app.test_client()

    def view() -> None:
        shop.do(end_others, here)
        session.bind("ada")

    assert not cookies_set(shop.do(view, other))
    assert shop.see(lambda: session.owner, other) is None
    assert len(shop.sessions.of("ada")) == 1


def test_a_changed_password_with_the_login_itself(web: Web) -> None:
    """The request that signs in may end all others: its own session stays."""
    old = sign_in(web)

    def reset() -> None:
        session.bind("ada")
        session.revoke_others()

    web.do(reset)
    assert web.see(lambda: session.owner) is not None
    assert web.see(lambda: session.owner, old) is None


def test_revoke_others_needs_a_user(web: Web) -> None:
    """A session without a user has no others."""
    with pytest.raises(ValueError, match="bound to a user"):
        web.do(end_others)


def test_revoke_others_needs_an_index() -> None:
    """On a store that keeps no index, it is an error, and the session is as it was."""
    web = Web(Bare)
    sign_in(web, browser=web.browser)
    with pytest.raises(ConfigurationError, match="keeps no index by owner"):
        web.do(end_others)
    assert web.see(lambda: session.owner)


# --- everyone --------------------------------------------------------------------------------------------------------


def test_the_operator_ends_everyone(shop: Web) -> None:
    """One call ends all sessions of all users and visitors, returns how many, and emits each end."""
    browsers = [sign_in(shop, f"user {number}") for number in range(4)]
    shop.put(cart=[1])
    shop.do(rotate, browsers[0])
    shop.take_heard()
    seen: list[int] = []
    assert shop.sessions.revoke_everyone(progress=seen.append) == 5
    assert shop.reasons("ended") == ["revoked"] * 5
    assert seen[-1] == 5
    assert shop.sessions.count() == 0
    assert all(shop.data(browser) == {} for browser in (*browsers, shop.browser))
    assert shop.sessions.revoke_everyone() == 0


def test_a_request_in_flight_does_not_outlive_the_end_of_everyone(shop: Web) -> None:
    """A request that loaded its session before the end neither saves nor rotates it afterwards, and sends no cookie."""
    here, there = sign_in(shop), sign_in(shop)

    def ended_under(change: Callable[[], Any]) -> Callable[[], None]:
        def view() -> None:
            session.get("a")
            shop.sessions.revoke_everyone()
            change()

        return view

    assert not cookies_set(shop.do(ended_under(lambda: session.update(a=1)), here))
    sign_in(shop, browser=there)
    assert not cookies_set(shop.do(ended_under(rotate), there))
    assert shop.sessions.count() == 0


def test_ending_everyone_in_an_outage_raises(web: Web) -> None:
    """When the store fails on the way, that is an error; asked again, it ends the rest."""
    sign_in(web)
    web.failing.fail("scan")
    with pytest.raises(StoreUnavailable):
        web.sessions.revoke_everyone()
    web.failing.heal()
    assert web.sessions.revoke_everyone() == 1
