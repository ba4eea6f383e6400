"""The rules of the storm, each on a planted history that breaks it, and on the same history without the fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from storm.checker import RULES, check
from storm.history import Found, History, Probe, Request, Window
from storm.story import Promise


class Tale:
    """A history that is told one request after the other, a second each."""

    def __init__(self) -> None:
        self.history = History()
        self.now = 0.0

    def add(self, action: str, value: str = "", *, browser: str = "ada0", **rest: Any) -> Request:
        """Add a request that takes half a second, and return it."""
        times = {"sent": self.now, "received": self.now + 0.5, "done": self.now + 0.4}
        number = len(self.history.requests) + 1
        request = Request(number=number, browser=browser, action=action, value=value, **{**times, **rest})
        self.history.requests.append(request)
        self.now += 1
        return request

    def login(self, life: str = "ada0:1", user: str = "ada", *, old: str | None = None, **rest: Any) -> Request:
        """Add a login that is answered with a token of the same name as the life."""
        return self.add("login", life, **{"user": user, "token": old, "cookie": f"token of {life}", **rest})

    def found(self, action: str = "me", value: str = "", **rest: Any) -> Request:
        """Add a request that finds the life "ada0:1" of ada, or what *rest* says of it."""
        names = ("life", "user", "cart", "n", "coupons", "read_only")
        content = {name: rest.pop(name) for name in names if name in rest}
        life = content.setdefault("life", "ada0:1")
        content.setdefault("user", "ada" if life else None)
        rest.setdefault("token", f"token of {life}")
        return self.add(action, value, found=Found(**content), **rest)

    def broken(self, **promise: Any) -> set[str]:
        """Return the rules that the history breaks."""
        return {finding.rule for finding in check(self.history, Promise(**promise))}


def lost_item(tale: Tale, *, planted: bool) -> None:
    """An item is acknowledged, and then missing."""
    tale.login()
    tale.found("append", "ada0:2")
    tale.found(cart=() if planted else ("ada0:2",))


def lost_count(tale: Tale, *, planted: bool) -> None:
    """Two counts are acknowledged, and one is missing."""
    tale.login()
    tale.found("count")
    tale.found("count", n=1)
    tale.found(n=1 if planted else 2)


def item_twice(tale: Tale, *, planted: bool) -> None:
    """An item whose answer was lost is in the cart twice."""
    tale.login()
    tale.add("append", "ada0:2", status=None)
    tale.found(cart=("ada0:2",) * (2 if planted else 1))


def count_twice(tale: Tale, *, planted: bool) -> None:
    """A count that was answered 503 is applied twice."""
    tale.login()
    tale.add("count", status=503)
    tale.found(n=2 if planted else 1)


def coupon_twice(tale: Tale, *, planted: bool) -> None:
    """Two requests are given one coupon."""
    tale.login()
    tale.found("grant", "ada0:2")
    tale.found("redeem", "ada0:2", coupons=frozenset({"coupon ada0:2"}), given="ada0:2")
    tale.found("redeem", "ada0:2", given="ada0:2" if planted else None)


def coupon_to_nobody(tale: Tale, *, planted: bool) -> None:
    """A coupon is gone, although the only request for it was given nothing."""
    tale.login()
    tale.found("grant", "ada0:2")
    tale.found("redeem", "ada0:2", coupons=frozenset({"coupon ada0:2"}), given=None if planted else "ada0:2")
    tale.found()


def alive_after_logout(tale: Tale, *, planted: bool) -> None:
    """A token opens the session after the logout."""
    tale.login()
    tale.found("logout", cookie="")
    tale.found(replay=True, life="ada0:1" if planted else None, token="token of ada0:1")


def alive_after_everywhere(tale: Tale, *, planted: bool) -> None:
    """The session in another browser is found after the end of all sessions."""
    tale.login()
    tale.login("ada1:1", browser="ada1")
    tale.found()
    tale.found("everywhere", life="ada1:1", browser="ada1")
    tale.found(life="ada0:1" if planted else None)


def old_id_after_login(tale: Tale, *, planted: bool) -> None:
    """The token from before the login opens what came of it."""
    tale.login(old="planted")
    tale.found(replay=True, token="planted", life="ada0:1" if planted else None)


def old_id_after_renewal(tale: Tale, *, planted: bool) -> None:
    """The token from before a renewal works after the grace period, although the new one was presented."""
    tale.login()
    tale.found(cookie="new token")
    tale.found(token="new token")
    tale.now += 3
    tale.found(replay=True, life="ada0:1" if planted else None, token="token of ada0:1")


def dead_cookie(tale: Tale, *, planted: bool) -> None:
    """A read that overlaps the login is answered last, with the cookie from before the login."""
    tale.login("ada0:0")
    old = "token of ada0:0"
    read = tale.found(life="ada0:0", cookie=old if planted else None)
    login = tale.login(old=old, found=Found(life="ada0:0", user="ada"))
    tale.history.requests[1] = replace(read, received=login.received + 0.1, done=login.received)
    tale.found(life=None if planted else "ada0:1", token=old if planted else "token of ada0:1")


def overtaken(tale: Tale, *, planted: bool) -> None:
    """The same, but the server had sent the answer before that of the login."""
    dead_cookie(tale, planted=planted)
    tale.history.requests[1] = replace(tale.history.requests[1], done=1.1)


def empty(tale: Tale, *, planted: bool) -> None:
    """During an outage the session is empty, instead of a 503."""
    tale.login()
    tale.found(life=None if planted else "ada0:1", token="token of ada0:1")


def dropped_login(tale: Tale, *, planted: bool) -> None:
    """A login as another user is answered 200 while the session that it replaces ends, and began nothing."""
    tale.login()
    tale.login("ada1:1", browser="ada1")
    ends = tale.found("others", life="ada1:1", browser="ada1")
    tale.login("ada0:2", "bob", old="token of ada0:1", sent=ends.sent, found=Found(life="ada0:1", user="ada"))
    tale.found(life=None if planted else "ada0:2", user="bob", token="token of ada0:2")


def unfinished_login(tale: Tale, *, planted: bool) -> None:
    """A second login is answered 503, and afterwards neither session is there."""
    tale.login()
    tale.login("ada0:2", old="token of ada0:1", status=503)
    tale.found(life=None if planted else "ada0:2", token="token of ada0:2")


def foreign_session(tale: Tale, *, planted: bool) -> None:
    """A browser finds the session of another one."""
    tale.login()
    tale.found(browser="bob0" if planted else "ada0", token="whatever")


def foreign_item(tale: Tale, *, planted: bool) -> None:
    """A browser finds an item of another one in its own cart."""
    tale.login()
    tale.found(cart=("bob0:7" if planted else "ada0:7",))


def server_error(tale: Tale, *, planted: bool) -> None:
    """A request is answered 500."""
    tale.login()
    tale.add("me", status=500 if planted else 503)


def refused(tale: Tale, *, planted: bool) -> None:
    """A login is answered 409, though nobody ends all sessions of the user at that moment."""
    tale.login("ada1:1", browser="ada1")
    tale.login(status=409)
    action = "me" if planted else "everywhere"
    tale.found(action, life="ada1:1", browser="ada1", sent=tale.now - 1, received=tale.now)


def too_many(tale: Tale, *, planted: bool) -> None:
    """A user has three sessions after the storm, where two are allowed."""
    for number in range(3):
        browser = f"ada{number}"
        tale.login(f"{browser}:1", browser=browser)
    for number in range(3 if planted else 2):
        browser = f"ada{number}"
        tale.found("me", "final", browser=browser, life=f"{browser}:1")


def not_back(tale: Tale, *, planted: bool) -> None:
    """A request that is sent after the end of the fault fails after more seconds than were stated."""
    tale.login()
    tale.history.faults.append(Window("server paused", 0.0, 1.0))
    tale.history.probes.append(Probe(1.1, 1.2, served=True))
    tale.add("me", sent=1.2, received=5.0 if planted else 1.5, status=503)


def not_back_as_the_driver(tale: Tale, *, planted: bool) -> None:
    """A request fails long after the fault, while the bare driver is served; without the mistake, that is as slow."""
    tale.login()
    tale.history.faults.append(Window("server paused", 0.0, 1.0))
    tale.history.probes += [Probe(1.1, 2.5, served=planted), Probe(2.6, 2.7, served=True)]
    tale.add("me", sent=1.2, received=10.5 if planted else 5.5, status=503)


PLANTED = {
    lost_item: "change lost",
    lost_count: "change lost",
    item_twice: "change applied twice",
    count_twice: "change applied twice",
    coupon_twice: "coupon given twice",
    coupon_to_nobody: "coupon given to nobody",
    alive_after_logout: "alive after its end",
    alive_after_everywhere: "alive after its end",
    old_id_after_login: "old id alive",
    old_id_after_renewal: "old id alive",
    dead_cookie: "dead cookie after a login",
    overtaken: "overtaken on the wire",
    empty: "empty session",
    dropped_login: "empty session",
    unfinished_login: "empty session",
    foreign_session: "another's data",
    foreign_item: "another's data",
    server_error: "server error",
    refused: "login refused",
    too_many: "limit exceeded",
    not_back: "service not back",
    not_back_as_the_driver: "service not back",
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_rule_finds_what_breaks_it(plant: Any) -> None:
    """The planted history breaks the rule, and the same one without the fault breaks none."""
    tale = Tale()
    plant(tale, planted=True)
    promise: dict[str, Any] = {"limit": 2, "back": {"server paused": 3.0}}
    assert PLANTED[plant] in tale.broken(**promise)
    sound = Tale()
    plant(sound, planted=False)
    assert sound.broken(**promise) == set()


def test_each_rule_has_a_planted_violation() -> None:
    """No rule is without a history that breaks it."""
    assert set(PLANTED.values()) == set(RULES)


def other_ends_all(tale: Tale) -> None:
    """Another browser of the user ends all sessions."""
    tale.login("ada1:1", browser="ada1")
    tale.found("others", life="ada1:1", browser="ada1")


def answer_never_arrives(tale: Tale) -> None:
    """The browser does not get the answer to a logout."""
    tale.add("logout", token="token of ada0:1", status=None)


def user_is_at_the_limit(tale: Tale) -> None:
    """The user signs in on two more browsers, where two sessions are allowed."""
    tale.login("ada1:1", browser="ada1")
    tale.login("ada2:1", browser="ada2")


@pytest.mark.parametrize("reason", [other_ends_all, answer_never_arrives, user_is_at_the_limit])
def test_a_session_that_may_have_ended_need_not_be_found(reason: Any) -> None:
    """The rules demand nothing where the history does not show whether the session lives."""
    tale = Tale()
    tale.login()
    reason(tale)
    tale.found(life=None, user=None, token="token of ada0:1")
    assert tale.broken(limit=2) == set()


def test_a_change_under_a_token_that_is_being_replaced_may_be_dropped() -> None:
    """A rotation that overlaps a change wins: the change is answered 200, and is not stored."""
    tale = Tale()
    tale.login()
    append = tale.found("append", "ada0:2")
    tale.found("others", sent=append.sent + 0.1, received=append.received + 0.1, cookie="new token")
    tale.found(token="new token")
    assert tale.broken() == set()
