"""`session.lifetime`: an idle timeout of the session's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.web import Web, cookies_set

from holdfast.flask import session

MINUTE, HOUR, DAY = 60, 3600, 86_400
KINDS: list[dict[str, Any]] = [{}, {"SESSION_STORE": "cookie://"}]


def web_with(kind: dict[str, Any], **config: Any) -> Web:
    """Return an application whose sessions live for half an hour."""
    return Web(**kind, PERMANENT_SESSION_LIFETIME=30 * MINUTE, **config)


def sign_in(*, remember: bool) -> None:
    """Sign ada in, and remember her for a month if she asks for it."""
    session.bind("ada")
    session["user"] = "ada"
    session.permanent = remember
    if remember:
        session.lifetime = timedelta(days=30)


@pytest.mark.parametrize("kind", KINDS)
def test_remember_me_for_a_month_else_for_half_an_hour(kind: dict[str, Any]) -> None:
    """Each session lives for its own time without use, and so does its cookie."""
    for remember, alive, dead in ((True, 29 * DAY, 31 * DAY), (False, 29 * MINUTE, 31 * MINUTE)):
        web = web_with(kind)
        response = web.do(lambda: sign_in(remember=remember))  # noqa: B023  # it is called at once
        assert (f"Max-Age={30 * DAY}" in str(cookies_set(response))) is remember
        web.clock.advance(alive)
        assert web.data().get("user") == "ada"
        web.put(n=1)
        web.clock.advance(alive)
        assert web.data().get("user") == "ada"
        web.clock.advance(dead)
        assert web.data() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_the_absolute_timeout_ends_it_in_any_case(kind: dict[str, Any]) -> None:
    """No lifetime is longer than the absolute timeout."""
    web = web_with(kind, SESSION_ABSOLUTE_LIFETIME=DAY)
    response = web.do(lambda: sign_in(remember=True))
    assert f"Max-Age={DAY}" in str(cookies_set(response))
    web.clock.advance(23 * HOUR)
    assert web.data().get("user") == "ada"
    web.clock.advance(2 * HOUR)
    assert web.data() == {}


def test_it_can_be_changed_and_given_up() -> None:
    """A change is stored once, and its cookie sent; None and the next login return to the setting."""
    web = web_with({})
    web.do(lambda: sign_in(remember=True))
    assert web.see(lambda: session.lifetime) == timedelta(days=30)

    def set_it(value: Any) -> dict[str, int]:
        return web.calls(lambda: setattr(session, "lifetime", value))

    assert set_it(7 * DAY) == {"load": 1, "replace": 1}
    assert set_it(timedelta(days=7)) == {"load": 1}
    assert web.see(lambda: session.lifetime) == timedelta(days=7)
    assert f"Max-Age={DAY}" in str(cookies_set(web.do(lambda: setattr(session, "lifetime", DAY))))
    assert set_it(None) == {"load": 1, "replace": 1}
    assert web.see(lambda: session.lifetime) == timedelta(minutes=30)
    set_it(7 * DAY)
    web.clock.advance(1)
    web.do(lambda: session.bind("ada"))
    assert web.see(lambda: session.lifetime) == timedelta(minutes=30)


def test_lists_know_it() -> None:
    """The list of a user's sessions says until when each lives unless it is used."""
    web = web_with({})
    web.do(lambda: sign_in(remember=True))
    with web.app.app_context():
        (info,) = web.sessions.of("ada")
    assert info.idle_deadline - info.last_used_at == 30 * DAY * 1000


@pytest.mark.parametrize("value", [0, -1, timedelta(0), float("nan"), float("inf"), "60", True])
def test_what_is_no_lifetime_is_refused(value: Any) -> None:
    """No time, a negative one, no number and another type are refused where they are set."""
    web = web_with({})
    with pytest.raises((TypeError, ValueError), match="a lifetime"):
        web.do(lambda: setattr(session, "lifetime", value))
