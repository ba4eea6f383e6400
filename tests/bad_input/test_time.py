"""Times: no clock causes an error, ends a session early, or revives one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest
from bad_input import planted_time as planted
from bad_input.answers import user
from bad_input.storing import DAY, body_of, met
from security.bugs import never_idle, never_too_old, no_ttl, saves_what_is_gone
from security.rows import requirement
from security.steps import WebOn, another, signed_in
from support.dumps import dump, has_key, removed
from support.keyspace import prefix_in
from support.web import Web, cookies_set, end, rotate

from holdfast.clock import system_clock
from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.records.codec import JSON
from holdfast.records.envelope import encode
from holdfast.sessions.policy import RETENTION, SKEW


@requirement(
    "Catalogue T1",
    says="A session expires at its limit to the millisecond, even if the store still has it.",
    mutants=[never_idle, never_too_old, planted.the_limit_is_alive],
)
def test_a_session_is_over_at_its_limit(place: str, web_on: WebOn) -> None:
    """On every store: valid until the last millisecond, expired at the limit and after it, and not revived."""
    for name, reason in (
        ("PERMANENT_SESSION_LIFETIME", "expired_idle"),
        ("SESSION_ABSOLUTE_LIFETIME", "expired_absolute"),
    ):
        web = web_on(place, PROPAGATE_EXCEPTIONS=False, **{name: 600})
        web.put(user="victim")
        key, token = web.see(lambda: session.handle), web.token()
        web.clock.advance_ms(600_000 - 1)
        assert web.memory.load(key) is not None
        assert web.do(in_background, web.with_token(token)).text == "victim"
        web.clock.advance_ms(1)
        for wait in (0, 1, 58, DAY, 365 * DAY):
            web.clock.advance(wait)
            web.take_heard()
            web.store.reset()
            response = web.do(user, web.with_token(token))
            assert (response.status_code, response.text, cookies_set(response)) == (200, "None", [])
            assert web.reasons() == [reason if wait < DAY else "unknown_id"]
            assert set(web.store.counts) <= {"load"}
            if wait == 0:
                assert has_key(dump(web, place), key), "the store still has it"


def in_background() -> str:
    """Look at the session and leave its end where it is, as a view."""
    session.background = True
    return user()


@requirement(
    "Catalogue T1",
    says="A session whose record the store dropped is over, and no running request brings it back.",
    mutants=[saves_what_is_gone],
)
def test_a_record_that_the_store_dropped_stays_away(place: str, web_on: WebOn) -> None:
    """Removed with the driver, or expired, during a request: its change is dropped. A login begins a session anew."""

    def login() -> None:
        session.bind("ada")

    for way in ("removed", "expired"):
        for view in (lambda: session.update(a=1), rotate, login, lambda: session.get("user")):
            web = web_on(place, PERMANENT_SESSION_LIFETIME=600, PROPAGATE_EXCEPTIONS=False)
            web.put(user="victim")
            key, token = web.see(lambda: session.handle), web.token()

            def meanwhile(way: str = way, key: str = key, web: Web = web, view: Callable[[], Any] = view) -> None:
                view()
                if way == "removed":
                    removed(web, place, key)
                else:
                    web.clock.advance(24 * 3600 + 661)

            web.store.reset()
            response = web.do(meanwhile)
            assert (response.status_code, bool(cookies_set(response))) == (200, view is login), way
            web.take_heard()
            assert web.do(user, web.with_token(token)).text == "None"
            assert web.reasons() == ["unknown_id"]
            assert web.memory.load(key) is None


@requirement(
    "Catalogue T2",
    says="A record from the future is accepted only within the tolerated clock difference.",
    mutants=[planted.the_future_is_fine, planted.no_clock_may_differ],
)
def test_a_record_from_the_future_is_not_valid_yet(place: str, web_on: WebOn) -> None:
    """Up to a minute ahead valid, then not yet valid: a second more, a year, the year 9999, 2^31 to 2^63, no time."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    now, body = web.clock(), body_of(web)
    year_9999 = 253_402_300_799_000
    aheads = [
        1,
        1000,
        SKEW,
        SKEW + 1,
        3_600_000,
        365 * DAY * 1000,
        year_9999 - now,
        *(2**bits for bits in (31, 32, 53, 63)),
    ]
    aheads.append(2**64 - 1 - now)
    texts = (b"NaN", b"Infinity", b"true", b'"1800000000000"', b'"2027-01-15T08:00:00"', b"-1", b"1e3")
    for number, ahead in enumerate(aheads):
        for field in (
            ("created_at", "issued_at") if place == "memory://" else (("created_at", "issued_at")[number % 2],)
        ):
            data = encode(
                replace(body, created_at=now + ahead) if field == "created_at" else replace(body, issued_at=now + ahead)
            )
            expected = ("victim", []) if ahead <= SKEW else ("None", ["not_yet_valid"])
            assert met(web, place, data) == expected, (field, ahead)
    text = encode(replace(body, payload=b'{"user":"victim"}', codec=JSON))
    assert met(web, place, text) == ("victim", [])
    for value in texts:
        assert met(web, place, text.replace(b"%d" % body.created_at, value)) == ("None", ["corrupt"]), value


@pytest.mark.kinds("memory")
def test_absurd_times_give_no_longer_life(place: str, web_on: WebOn) -> None:
    """A record with a missing or absurd time is no error, and does not outlive its session."""
    absurd: list[dict[str, Any]] = [
        {"created_at": 0},
        {"idle": 0},
        {"idle": 2**64 - 1},
        {"created_at": 0, "issued_at": 0},
    ]
    for times in absurd:
        web = web_on(place, PROPAGATE_EXCEPTIONS=False)
        web.put(user="victim")
        met(web, place, encode(replace(body_of(web), **times)))
        token = web.token()
        web.clock.advance(31 * DAY)
        assert web.do(user, web.with_token(token)).text == "None", times


@requirement(
    "Catalogue T3",
    says="A clock that steps, or differs between processes, causes no error, revives no session, and ends none early.",
    mutants=[planted.no_clock_may_differ, planted.the_future_is_fine],
)
def test_clocks_that_step_and_differ(place: str, web_on: WebOn) -> None:
    """Steps of a second to an hour in both directions, and processes up to five minutes apart, on every store."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="dead")
    dead, _ = web.token(), web.do(end)
    for step in (-3600, -300, -61, -59, -1, 1, 59, 300, 3600):
        web.browser = web.app.test_client()
        web.put(user="victim")
        other = another(web, web_on, place, PROPAGATE_EXCEPTIONS=False)
        other.clock.advance_ms(web.clock() - other.clock() + step * 1000)
        seen = other.do(user, other.with_token(web.token())).text
        assert seen == ("victim" if step >= -60 else "None"), step
        for view in (lambda: session.update(b=2), rotate, lambda: session.bind("ada")):
            assert other.do(view, other.with_token(web.token())).status_code == 200, step
        for each in (web, other):
            assert each.do(user, each.with_token(dead)).text == "None", step
        web.browser = web.app.test_client()
        web.put(user="victim")
        web.clock.advance(step)
        assert web.do(user).text == ("victim" if step >= -60 else "None"), step
        web.clock.advance(-step)


@requirement(
    "Catalogue T3",
    says="No clock makes Redis get a time to live that is negative, zero, or infinite.",
    mutants=[planted.ttl_in_seconds, no_ttl],
)
@pytest.mark.kinds("redis")
def test_no_time_to_live_is_negative(place: str, web_on: WebOn) -> None:
    """With any clock between load and save, every Redis key has an expiry ahead, at most a lifetime away."""
    import redis

    web = web_on(place, SESSION_ABSOLUTE_LIFETIME=600, PROPAGATE_EXCEPTIONS=False)
    web.clock.advance_ms(system_clock() - web.clock())  # an index lives by the server's clock
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        for step in (-3600, -1, 0, 599, 601, 659, 661, 3600):
            for view in (lambda: session.update(a=1), rotate, lambda: session.bind("ada"), end):
                web.browser = signed_in(web)
                response = web.do(partial(stepping, web, view, step))
                assert response.status_code == 200, step
                for name in client.scan_iter(prefix_in(place) + "*"):
                    left = client.pttl(name)
                    assert left == -2 or 0 < left <= 2 * (600_000 + RETENTION + 3_600_000) + 300_000, (step, name)
                web.clock.advance(-step)


def stepping(web: Web, view: Callable[[], Any], step: int) -> None:
    """Do what *view* does, and then let the clock step."""
    view()
    web.clock.advance(step)


@requirement(
    "Catalogue T4",
    says="Every lifetime from a second to the longest works on every store, and none is infinite.",
    mutants=[planted.lifetimes_are_32_bits, planted.zero_is_for_ever],
)
@pytest.mark.filterwarnings("ignore:.*browsers keep a cookie:UserWarning")
def test_every_lifetime_works(place: str, web_on: WebOn) -> None:
    """30 days and a second more, 31, 400 and 401 days, and the longest timedelta: kept that long, and no longer."""
    names = ("PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME")
    for lifetime in (0.5, 1, 60, 30 * DAY, 30 * DAY + 1, 31 * DAY, 400 * DAY, 401 * DAY, timedelta.max):
        web = web_on(place, SESSION_PERMANENT=True, PROPAGATE_EXCEPTIONS=False, **dict.fromkeys(names, lifetime))
        [cookie] = cookies_set(web.put(user="victim"))
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        assert f"Max-Age={int(min(seconds, 400 * DAY))};" in cookie
        assert web.do(user).text == ("victim" if seconds >= 1 else "None")  # a cookie's life is in whole seconds
        if seconds < 1:
            continue
        web.put(a=1)
        assert web.do(user).text == "victim"
        if isinstance(lifetime, int):
            web.clock.advance(lifetime - 1)
            token = web.token()
            assert web.do(user, web.with_token(token)).text == "victim"
            web.clock.advance(lifetime)
            assert web.do(user, web.with_token(token)).text == "None"
    senseless: tuple[Any, ...] = (0, -1, timedelta(0), timedelta(days=-1), math.nan, math.inf, "31 days", True, 1e300)
    for name, span in product((*names, "SESSION_RENEWAL_INTERVAL"), senseless):
        said = rf"{name} is .*: it must be seconds greater than 0, or a timedelta"
        with pytest.raises(ConfigurationError, match=said):
            web_on("memory://", **{name: span})
