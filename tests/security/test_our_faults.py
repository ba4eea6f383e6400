"""Faults that Holdfast itself had: found in use, fixed, and each planted back to show that its test would find it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import copy_current_request_context
from security import planted_our_faults as planted
from security.rows import own_fault
from security.steps import Meddler, WebOn, another, meddling, sign_in, signed_in, who
from support.web import Web, end, rotate

from holdfast.contrib.impersonation import impersonate
from holdfast.errors import EncodeError, StoreUnavailable
from holdfast.flask import session
from holdfast.sessions.state import IDENTITY
from holdfast.stores.nearcache import NearCache
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, StoreWrapper

MINUTE = 60

#: A store in the process, one on disk, and a server.
THREE = pytest.mark.kinds("memory", "sqlite", "redis")


def _pass(*webs: Web) -> None:
    for web in webs:
        web.clock.advance(2)


def _end_all(web: Web) -> None:
    """End all sessions of Ada's in a request of another application, and not in the present one."""
    web.do(lambda: str(web.sessions.revoke_all("ada")))


def _log_out_and_keep_the_rest() -> None:
    session.pop(IDENTITY)
    session["farewell"] = "bye"


@own_fault(
    "a logout that needs room",
    cause="On a full store a logout, a revocation and an end of all sessions failed, and the sessions lived.",
    mutants=[planted.a_logout_needs_room],
)
@THREE
def test_a_full_store_keeps_nobody_signed_in(place: str, web_on: WebOn) -> None:
    """Where every write fails for lack of room, sessions end nevertheless: by a logout and from outside."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    browser, other = signed_in(web), signed_in(web)
    handle = web.see(lambda: session.handle, other)
    web.failing.fail("create", "replace", "move", times=float("inf"))
    assert web.do(end, browser).status_code == 200
    assert web.sessions.revoke(handle) == "unconfirmed"
    web.failing.heal()
    assert who(web, browser) is None
    assert who(web, other) is None


@own_fault(
    "a login that is answered with nothing",
    cause="A login while the session that it replaced was ended from outside was answered 200, and began no session.",
    mutants=[planted.a_login_is_dropped_with_its_session],
)
@THREE
def test_a_login_is_not_answered_with_nothing(place: str, web_on: WebOn) -> None:
    """Somebody else signs in while the session of the user before is revoked: they are signed in."""
    web = web_on(place)
    browser = signed_in(web)
    handle = web.see(lambda: session.handle, browser)

    def view() -> None:
        session.bind("bob")
        assert web.sessions.revoke(handle) == "confirmed"

    assert web.do(view, browser).status_code == 200
    assert web.see(lambda: session.owner, browser) == web.sessions.manager.keys.owner_of("bob")


@own_fault(
    "a conflict that refuses a logout",
    cause='With the policy "error" a logout was answered 409 when another request had saved, and the user stayed.',
    mutants=[planted.a_conflict_refuses_a_logout],
)
@THREE
def test_a_conflict_refuses_no_logout(place: str, web_on: WebOn) -> None:
    """With SESSION_ON_CONFLICT="error" another request saves during a logout: the user is signed out."""
    web, store = meddling(web_on, place, SESSION_ON_CONFLICT="error")
    browser = signed_in(web, cart=["pen"])
    copy = web.with_token(web.token(browser))

    def view() -> None:
        _log_out_and_keep_the_rest()
        store.at(1, partial(web.put, copy, more=1))

    assert web.do(view, browser).status_code == 200
    assert web.see(lambda: session.owner, browser) is None
    assert web.see(lambda: session.owner, copy) is None


@own_fault(
    "a logout that fails with its data",
    cause="A logout followed by a value that cannot be stored was an error, and the user stayed signed in.",
    mutants=[planted.an_error_keeps_the_session],
)
@THREE
def test_what_cannot_be_stored_keeps_nobody_signed_in(place: str, web_on: WebOn) -> None:
    """A logout and a value that cannot be stored in one request: the session is over, and the error is raised."""
    web = web_on(place)
    browser = signed_in(web)
    copy = web.with_token(web.token(browser))

    def view() -> None:
        session.clear()
        session["x"] = object()

    with pytest.raises(EncodeError):
        web.do(view, browser)
    assert who(web, copy) is None


@own_fault(
    "a logout that ends nothing",
    cause="A logout under a token that had just been replaced was answered 200, and the session went on.",
    mutants=[planted.a_late_logout_ends_nothing],
)
@THREE
@pytest.mark.parametrize("log_out", [end, lambda: session.pop(IDENTITY, None)], ids=["clear", "pop"])
def test_a_late_logout_ends_the_session(place: str, web_on: WebOn, log_out: Callable[[], Any]) -> None:
    """A logout with the old token after a rotation ends the session under the new one."""
    web = web_on(place)
    browser = signed_in(web)
    late = web.with_token(web.token(browser))
    web.do(rotate, browser)
    assert who(web, browser) == "ada"
    web.do(log_out, late)
    assert who(web, browser) is None


@own_fault(
    "a login that outlives the end of all sessions",
    cause="A login that then ended the user's other sessions passed an end of all sessions during its own request.",
    mutants=[planted.an_earlier_cut_off_is_forgotten],
)
@THREE
def test_a_login_that_ends_the_others_gives_way(place: str, web_on: WebOn) -> None:
    """The password is reset while a login checks the old one: the login, which also ends all others, does not stand."""
    web = web_on(place)
    elsewhere = another(web, web_on, place)
    browser = web.app.test_client()

    def view() -> None:
        _pass(web, elsewhere)
        _end_all(elsewhere)
        _pass(web, elsewhere)
        session.bind("ada")
        session.revoke_others()

    web.do(view, browser)
    assert who(web, browser) is None


@own_fault(
    "a session that is over and kept",
    cause="With sessions in the cookie, a session that was ended could end the others, and got a new live cookie.",
    mutants=[planted.a_session_that_is_over_is_kept],
)
@THREE
def test_a_session_that_is_over_is_not_kept(place: str, web_on: WebOn) -> None:
    """All of a user's sessions end while one of them ends all others: that one is over too."""
    settings: dict[str, Any] = {
        "setting": "SESSION_REVOCATION_STORE",
        "SESSION_STORE": "cookie://",
        "SESSION_SEAL_KEYS": [hashlib.sha256(b"a seal key").digest()],
    }
    web = web_on(lambda clock: Meddler(open_store(place, clock=clock)), **settings)
    elsewhere = another(web, web_on, place, **settings)
    browser = signed_in(web)

    def view() -> None:
        session.get("who")
        _pass(web, elsewhere)
        _end_all(elsewhere)
        _pass(web, elsewhere)
        session.revoke_others()

    web.do(view, browser)
    assert who(web, browser) is None


@own_fault(
    "a cache that decides for ever",
    cause="A near cache answered a login's lookup of the cut-off, so the login outlived an end of all sessions.",
    mutants=[planted.a_cache_decides],
)
# Time that a test lets pass does not pass on a server whose clock counts.
@pytest.mark.kinds("memory", "sqlite")
def test_no_cache_decides_for_a_login(place: str, web_on: WebOn) -> None:
    """With the user's last cut-off in a cache, an end of all sessions in another process holds against a login."""
    behind: list[Any] = []

    def cached(clock: FakeClock) -> NearCache:
        behind.append(open_store(place, clock=clock))
        return NearCache(behind[0], staleness=60_000, clock=clock)

    web = web_on(cached)
    elsewhere = web_on(lambda _: behind[0])
    web.sessions.revoke_all("ada")
    _pass(web, elsewhere)
    signed_in(web)
    browser = web.app.test_client()

    def view() -> None:
        _pass(web, elsewhere)
        _end_all(elsewhere)
        session.bind("ada")

    web.do(view, browser)
    web.clock.advance(2 * MINUTE)
    assert who(web, browser) is None


@own_fault(
    "a second click that signs nobody in",
    cause="A login whose response was lost could not be repeated: under the replaced token it was dropped, silently.",
    mutants=[planted.a_second_login_is_dropped],
)
@THREE
def test_a_login_can_be_repeated_at_once(place: str, web_on: WebOn) -> None:
    """The response to a login is lost: signing in again with the old cookie works."""
    web = web_on(place)
    browser = web.app.test_client()
    web.put(browser, cart=["pen"])
    second = web.with_token(web.token(browser))
    web.do(sign_in("ada"), browser)
    web.do(sign_in("ada", who="ada"), second)
    assert who(web, second) == "ada"


@own_fault(
    "a renewal that must arrive",
    cause="The response with a renewed token was lost, and half a minute later the user was signed out.",
    mutants=[planted.delivery_is_assumed],
)
@THREE
def test_a_renewal_need_not_arrive(place: str, web_on: WebOn) -> None:
    """Without the response to a renewal the old token opens the session, hours later too."""
    web = web_on(place, SESSION_RENEWAL_INTERVAL=60 * MINUTE)
    browser = signed_in(web)
    old = web.token(browser)
    web.clock.advance(61 * MINUTE)
    assert who(web, browser) == "ada"
    assert web.token(browser) != old
    web.clock.advance(180 * MINUTE)
    assert who(web, web.with_token(old)) == "ada"


class _Losing(StoreWrapper):
    """Loses the answer to the next save, and calls *meanwhile* before anybody gets to know."""

    meanwhile: Callable[[], object] | None = None

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Lose the answer, once."""
        answer = call()
        if operation == "replace" and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
            raise StoreUnavailable("the connection is lost")
        return answer


@own_fault(
    "a save that is applied twice",
    cause="A save whose answer was lost was repeated over another request's save: a counter counted twice.",
    mutants=[planted.a_repeat_is_not_recognised],
)
@THREE
def test_a_save_is_applied_once(place: str, web_on: WebOn) -> None:
    """The answer to a save is lost, and another request saves before anybody knows: each change is there once."""
    web = web_on(lambda clock: _Losing(open_store(place, clock=clock)))
    web.put(hits=0, cart=["pen"])

    def view() -> None:
        session.apply("hits", lambda hits: hits + 1, 0)
        session["cart"].append("ink")
        web.memory.meanwhile = partial(web.put, web.twin(), more=1)

    web.do(view)
    assert web.data() == {"hits": 1, "cart": ["pen", "ink"], "more": 1}


@own_fault(
    "a failure after the move",
    cause="A signed-in user signed in again, one lookup failed after the move, and the session was lost.",
    mutants=[planted.a_login_gives_up_after_its_move],
)
@THREE
def test_a_failure_after_the_move_signs_nobody_out(place: str, web_on: WebOn) -> None:
    """The store fails once after a login has moved its session: the browser has a token that works."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    browser = signed_in(web)

    def view() -> None:
        session.bind("ada")
        web.failing.fail("load")

    web.do(view, browser)
    assert who(web, browser) == "ada"


@own_fault(
    "a long request that loses its changes",
    cause="A request of half a minute, during which the token was renewed, lost its changes and was answered 200.",
    mutants=[planted.a_long_request_is_late],
)
@THREE
def test_a_long_request_keeps_its_changes(place: str, web_on: WebOn) -> None:
    """The token is renewed and presented during a request longer than the grace period: its change is stored."""
    web = web_on(place, SESSION_RENEWAL_INTERVAL=60 * MINUTE)
    browser = signed_in(web)
    web.clock.advance(61 * MINUTE)
    page = web.with_token(web.token(browser))

    def view() -> None:
        session.apply("hits", lambda hits: hits + 1, 0)
        who(web, page)
        who(web, page)
        web.clock.advance(2 * MINUTE)

    web.do(view, browser)
    assert web.see(lambda: session.get("hits"), page) == 1


@own_fault(
    "a shown name that hides a session",
    cause="Where the user's id was also a name in the session, a change of that name unbound it: revoke_all missed it.",
    mutants=[planted.a_shown_name_says_whose_it_is],
)
@THREE
def test_a_shown_name_hides_no_session(place: str, web_on: WebOn) -> None:
    """The name that a session shows changes under Flask-Login: an end of all of the user's sessions ends it too."""
    web = web_on(place)
    browser = signed_in(web, username="ada")
    web.do(lambda: session.update(username="lovelace"), browser)
    web.sessions.revoke_all("ada")
    assert who(web, browser) is None


@own_fault(
    "an operator's data that stay behind",
    cause="After a user whom an operator impersonated was signed out, the operator's data stayed in the session.",
    mutants=[planted.an_operator_leaves_data],
)
@THREE
def test_an_operator_leaves_no_data(place: str, web_on: WebOn) -> None:
    """The user is signed out, as by Flask-Login, and signs in again: nothing of the operator is there."""
    web = web_on(place)
    browser = signed_in(web, "operator", ticket=7)
    web.do(lambda: impersonate("ada"), browser)
    web.do(_log_out_and_keep_the_rest, browser)
    assert web.data(browser) == {"farewell": "bye"}
    web.do(sign_in("ada"), browser)
    assert web.data(browser) == {"farewell": "bye", IDENTITY: "ada"}


class _Held(StoreWrapper):
    """Announces a lookup by *begun*, and answers it after the next use of the session, or a moment."""

    begun: threading.Event | None = None
    used: threading.Event

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Answer late."""
        if operation == "load" and self.begun is not None:
            self.begun.set()
            self.used.wait(0.1)
        return call()


@own_fault(
    "a thread with an empty session",
    cause="Of two threads that used a request's session first at once, one got an empty one, and its change was lost.",
    mutants=[planted.no_thread_waits_for_the_session],
)
@THREE
def test_each_thread_gets_the_session(place: str, web_on: WebOn) -> None:
    """A thread of the view uses the session while another one's lookup is running: both changes are stored."""
    web = web_on(lambda clock: _Held(open_store(place, clock=clock)))
    web.put(hits=0)
    begun, used = threading.Event(), threading.Event()

    def use(name: str) -> None:
        session[name] = session.get("hits")
        used.set()

    def view() -> None:
        threads = [threading.Thread(target=copy_current_request_context(use), args=(name,)) for name in "ab"]
        web.memory.begun, web.memory.used = begun, used
        threads[0].start()
        begun.wait(9)
        threads[1].start()
        for thread in threads:
            thread.join()
        web.memory.begun = None

    web.do(view)
    assert web.data() == {"hits": 0, "a": 0, "b": 0}


@own_fault(
    "a header that takes minutes",
    cause="With tokens in headers, 64 KiB of spaces in Authorization took 38 seconds, and the view needed no session.",
    mutants=[planted.the_pattern_skips_the_spaces],
)
@pytest.mark.kinds("memory")
def test_no_header_with_a_token_takes_long_to_read(place: str, web_on: WebOn) -> None:
    """A header with 16 KiB of spaces before, in or after the token is read at once."""
    web = web_on(place, SESSION_TRANSPORT="both", PROPAGATE_EXCEPTIONS=False)
    spaces = " " * (16 << 10)
    for header in (f"Bearer{spaces}x", f"Bearer x{spaces}y", f"Bearer x{spaces}", f"{spaces}Bearer x", f"{spaces}x"):
        start = time.process_time()
        assert web.do(lambda: None, headers={"Authorization": header}).status_code == 200
        assert time.process_time() - start < 0.3


class _Row:
    """A user, as an application loads it from its database."""

    def __init__(self) -> None:
        self.id = "ada"

    def __repr__(self) -> str:
        return f"<User {self.id}>"


@own_fault(
    "a user in the place of an id",
    cause="bind(user) in place of bind(user.id) bound the session to an address in memory, and revoke_all missed it.",
    mutants=[planted.an_object_is_its_user_s_id],
)
@THREE
def test_a_user_is_no_id(place: str, web_on: WebOn) -> None:
    """An object without a text of its own is an error, where a user is bound and where sessions are ended."""
    web = web_on(place)

    def bind(user: object) -> None:
        session.bind(user)

    for use in (bind, web.sessions.revoke_all, web.sessions.of):
        with pytest.raises(TypeError, match="a user id must be"):
            web.do(partial(use, _Row()))
    assert web.records() == 0


def _sign_in_within() -> None:
    session["user"]["id"] = "ada"


def _sign_in_and_set() -> None:
    user = session["user"]
    user["id"] = "ada"
    session["user"] = user


@own_fault(
    "a login inside of a value",
    cause="A user's id was put into a dict that the session had: the token stayed, and a planted one was signed in.",
    mutants=[planted.only_a_set_value_is_a_login],
)
@THREE
def test_a_login_inside_of_a_value_changes_the_token(place: str, web_on: WebOn) -> None:
    """A dict under a key of a user's id gets an id, in place or set again: a token from before opens nothing."""
    web = web_on(place, SESSION_IDENTITY_KEYS=["user"])
    for login in (_sign_in_within, _sign_in_and_set):
        web.put(user={"language": "en"})
        before = web.with_token(web.token())
        web.do(login)
        assert web.data() == {"user": {"language": "en", "id": "ada"}}
        assert web.data(before) == {}
        token = web.token()
        web.do(_sign_in_and_set)
        assert web.token() == token
