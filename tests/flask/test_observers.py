"""The counts and times of an application, without secrets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from flask_login import LoginManager, UserMixin, login_user, logout_user
from support.everywhere import KINDS, url_of_kind
from support.observers import Broken, Ledger
from support.web import STRANGER, Web, end, rotate

from holdfast.errors import ConfigurationError
from holdfast.events import EVENTS
from holdfast.flask import Session, session
from holdfast.metrics.memory import InMemoryMetrics
from holdfast.metrics.observer import OPERATIONS, OUTCOMES, Observers
from holdfast.records.envelope import decode, encode
from holdfast.stores.contract import Closes, Indexes
from holdfast.stores.registry import open_store

DAY = 24 * 3600


@pytest.fixture
def ledger() -> Ledger:
    """Return an observer with all counts at 0."""
    return Ledger()


@pytest.fixture
def watched(ledger: Ledger) -> Web:
    """Return an application with an observer, whose browser has a session."""
    web = Web(observer=ledger)
    web.put(cart=[1])
    ledger.take()
    return web


def handle(web: Web) -> str:
    """Return the handle of the browser's session."""
    found: str = web.see(lambda: session.handle)
    return found


# --- requests --------------------------------------------------------------------------------------------------------


def test_an_untouched_request_is_not_counted(watched: Web, ledger: Ledger) -> None:
    """A request that does not use its session is not counted, with or without a cookie."""
    watched.do(lambda: None)
    watched.do(lambda: None, watched.app.test_client())
    assert ledger.take() == {}


def test_a_read(watched: Web, ledger: Ledger) -> None:
    """A read is opened, loaded and found unchanged, with one call of the store."""
    watched.data()
    assert ledger.calls == {"load": 1}
    assert ledger.take() == {"opens": 1, "loads": 1, "saves.unchanged": 1}


def test_a_read_without_a_session(watched: Web, ledger: Ledger) -> None:
    """Without a cookie there is no load and no rejection."""
    watched.data(watched.app.test_client())
    assert ledger.calls == {}
    assert ledger.take() == {"opens": 1, "saves.unchanged": 1}


def test_a_write(watched: Web, ledger: Ledger) -> None:
    """A change is a save."""
    watched.put(a=1)
    assert ledger.calls == {"load": 1, "replace": 1}
    assert ledger.take() == {"opens": 1, "loads": 1, "saves.saved": 1}


def test_a_first_write(ledger: Ledger) -> None:
    """The first change makes a session."""
    Web(observer=ledger).put(a=1)
    assert ledger.calls == {"create": 1}
    assert ledger.take() == {"opens": 1, "created": 1, "saves.saved": 1}


def test_a_touch(watched: Web, ledger: Ledger) -> None:
    """A use that moves the idle timeout on is one more call and no save."""
    watched.clock.advance(4 * DAY)
    watched.data()
    assert ledger.calls == {"load": 1, "touch": 1}
    assert ledger.take() == {"opens": 1, "loads": 1, "saves.unchanged": 1}


def test_a_login_and_a_logout(watched: Web, ledger: Ledger) -> None:
    """A login rotates and binds, a logout ends."""
    watched.do(lambda: session.bind("ada"))
    assert ledger.calls == {"load": 2, "move": 1}
    assert ledger.take() == {"opens": 1, "loads": 1, "rotated": 1, "bound": 1, "saves.saved": 1}
    watched.do(end)
    assert ledger.calls == {"load": 1, "replace": 1, "delete": 1}
    assert ledger.take() == {"opens": 1, "loads": 1, "ended.logout": 1, "saves.saved": 1}


def test_a_login_with_flask_login(ledger: Ledger) -> None:
    """Flask-Login's own login and logout are counted the same way."""
    web = Web(observer=ledger)
    LoginManager(web.app).user_loader(lambda _: None)
    user = UserMixin()
    user.id = "ada"
    web.do(lambda: login_user(user))
    counts = ledger.take()
    assert (counts["created"], counts["bound"], counts["saves.saved"]) == (1, 1, 1)
    web.do(logout_user)
    assert ledger.take()["ended.logout"] == 1


def test_a_rotation_and_a_late_request(watched: Web, ledger: Ledger) -> None:
    """A rotation is one; a request under the old id is superseded and rejected for it."""
    early = watched.twin()
    watched.do(rotate)
    assert ledger.take() == {"opens": 1, "loads": 1, "rotated": 1, "saves.saved": 1}
    watched.data(early)
    assert ledger.take() == {"opens": 1, "superseded": 1, "rejected.superseded": 1, "saves.unchanged": 1}


def test_a_conflict_that_is_merged(watched: Web, ledger: Ledger) -> None:
    """A save that came second is one conflict, one merge, and an outcome of its own."""
    other = watched.twin()

    def view() -> None:
        session["a"] = 1
        watched.put(other, b=2)
        ledger.take()

    watched.do(view)
    assert ledger.calls["replace"] == 2
    assert ledger.take() == {"conflicts": 1, "merges": 1, "saves.merged": 1}


def test_a_conflict_that_is_not_merged(ledger: Ledger) -> None:
    """Where the application does not merge, a conflict is the outcome."""
    web = Web(observer=ledger, SESSION_ON_CONFLICT="error")
    web.put(a=0)
    other = web.twin()

    def view() -> None:
        session["a"] = 1
        web.put(other, a=2)
        ledger.take()

    assert web.do(view).status_code == 409
    assert ledger.take() == {"conflicts": 1, "saves.conflict": 1}


def test_a_change_of_a_session_that_is_gone(watched: Web, ledger: Ledger) -> None:
    """A change that came after the end is dropped, and no conflict."""
    slow = watched.twin()

    def view() -> None:
        session["a"] = 1
        watched.do(end)
        ledger.take()

    watched.do(view, slow)
    assert ledger.take() == {"gone": 1, "saves.gone": 1}


def test_ends_from_outside(watched: Web, ledger: Ledger) -> None:
    """A revocation is an end with its reason, without an open."""
    known = handle(watched)
    ledger.take()
    assert watched.sessions.revoke(known) == "confirmed"
    assert ledger.take() == {"ended.revoked": 1}
    for _ in range(2):
        watched.do(lambda: session.bind("ada"), watched.app.test_client())
    ledger.take()
    assert watched.sessions.revoke_all("ada") == 2
    assert ledger.calls["find"] == 2
    assert ledger.take() == {"ended.revoked": 2}


def test_a_purge_is_timed(watched: Web, ledger: Ledger) -> None:
    """Removing what has expired is a call of the store like any other."""
    watched.clock.advance(40 * DAY)
    assert watched.sessions.purge() == 1
    assert ledger.calls == {"purge": 1}
    assert ledger.take() == {}


def test_a_view_that_raises_saves_nothing(watched: Web, ledger: Ledger) -> None:
    """A request that is answered with a 5xx saves no change, and has no outcome."""

    def view() -> Response:
        session["a"] = 1
        return Response("sorry", 500)

    watched.do(view)
    assert ledger.take() == {"opens": 1, "loads": 1}


# --- rejections ------------------------------------------------------------------------------------------------------


def send(cookie: str) -> Callable[[Web], object]:
    """Return what sends a request with a session cookie."""
    return lambda web: web.send(f"session={cookie}", lambda: session.get("cart"))


def expire(days: int) -> Callable[[Web], object]:
    """Return what looks at the session after some days."""

    def act(web: Web) -> None:
        web.clock.advance(days * DAY)
        web.data()

    return act


def come_late(web: Web) -> None:
    """Send a request with an id that a rotation has replaced."""
    early = web.twin()
    web.do(rotate)
    web.data(early)


def change_record(change: Callable[[bytes], bytes]) -> Callable[[Web], object]:
    """Return what looks at a session whose record somebody has changed."""

    def act(web: Web) -> None:
        key = handle(web)
        record = web.memory.load(key)
        web.memory.replace(key, change(record.data), expect=record.version, expires_at=record.expires_at)
        web.data()

    return act


def begun_tomorrow(data: bytes) -> bytes:
    """Return the record with a beginning in the future."""
    envelope: Any = decode(data)
    envelope.created_at += DAY * 1000
    return encode(envelope)


def come_twice(web: Web) -> None:
    """Read with the cookies of two sessions."""
    other = web.app.test_client()
    web.put(other, cart=[])
    web.send(f"session={web.token()}; session={web.token(other)}", lambda: session.get("cart"))


def with_an_outage(web: Web) -> None:
    """Read while the store does not answer."""
    with web.failing.outage():
        web.do(lambda: session.get("cart"))


REJECTIONS: dict[str, tuple[Callable[[Web], object], dict[str, Any]]] = {
    "malformed": (send("short"), {}),
    "too_long": (send("x" * 5000), {}),
    "ambiguous_cookie": (come_twice, {}),
    "bad_signature": (send(f"{STRANGER}.forged"), {"SESSION_USE_SIGNER": True}),
    "unknown_id": (send(STRANGER), {}),
    "superseded": (come_late, {}),
    "expired_idle": (expire(31), {}),
    "expired_absolute": (expire(1), {"SESSION_ABSOLUTE_LIFETIME": DAY}),
    "not_yet_valid": (change_record(begun_tomorrow), {}),
    "corrupt": (change_record(lambda data: data[:9]), {}),
    "store_unavailable": (with_an_outage, {"PROPAGATE_EXCEPTIONS": False}),
}


@pytest.mark.parametrize("reason", REJECTIONS)
def test_each_rejection_is_counted_once(reason: str, ledger: Ledger) -> None:
    """A cookie that is not accepted is counted under its reason, and only there."""
    act, settings = REJECTIONS[reason]
    web = Web(observer=ledger, **settings)
    web.put(cart=[1])
    ledger.take()
    act(web)
    rejected = {name: count for name, count in ledger.take().items() if name.startswith("rejected")}
    assert rejected == {f"rejected.{reason}": 1}


def test_an_outage(ledger: Ledger) -> None:
    """A store that fails is counted by request, and each call that it failed by operation."""
    web = Web(observer=ledger, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    ledger.take()
    with web.failing.outage():
        assert web.do(lambda: session.get("a")).status_code == 503
    assert ledger.calls == {"load.unavailable": 1}
    assert ledger.take() == {"opens": 1, "store_unavailable": 1, "rejected.store_unavailable": 1}
    web.failing.fail("replace", times=2)
    assert web.put(a=2).status_code == 503
    assert ledger.calls == {"load": 2, "replace.unavailable": 2}
    assert ledger.take() == {"opens": 1, "loads": 1, "store_unavailable": 1}


@pytest.mark.parametrize(
    ("setting", "config"),
    [
        pytest.param("SESSION_STORE", {}, id="store"),
        pytest.param("A_STORE_THAT_IS_NOT_USED", {"SESSION_STORE": "cookie://"}, id="cookie"),
        pytest.param("SESSION_REVOCATION_STORE", {"SESSION_STORE": "cookie://"}, id="cookie-revocable"),
    ],
)
def test_sessions_are_counted_alike_wherever_they_live(setting: str, config: dict[str, Any], ledger: Ledger) -> None:
    """Each kind of request has the same counts with sessions in a store and with sessions in the cookie."""
    web = Web(setting=setting, observer=ledger, **config)

    def count(act: Callable[[], object]) -> dict[str, int]:
        web.do(act)
        return ledger.take()

    assert count(lambda: session.get("a")) == {"opens": 1, "saves.unchanged": 1}
    assert count(lambda: session.update(a=1)) == {"opens": 1, "created": 1, "saves.saved": 1}
    assert count(lambda: session.get("a")) == {"opens": 1, "loads": 1, "saves.unchanged": 1}
    assert count(lambda: session.update(a=2)) == {"opens": 1, "loads": 1, "saves.saved": 1}
    login = {"opens": 1, "loads": 1, "rotated": 1, "bound": 1, "saves.saved": 1}
    assert count(lambda: session.bind("ada")) == login
    assert count(rotate) == {"opens": 1, "loads": 1, "rotated": 1, "saves.saved": 1}
    assert count(end) == {"opens": 1, "loads": 1, "ended.logout": 1, "saves.saved": 1}
    web.send("session=no-session", lambda: session.get("a"))
    assert ledger.take() == {"opens": 1, "rejected.malformed": 1, "saves.unchanged": 1}


# --- the store -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[pytest.param(kind, marks=KINDS[kind], id=kind) for kind in KINDS])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, ledger: Ledger) -> Iterator[Web]:
    """Return an application on each kind of store, watched by a timer that goes on by 0.25 s at each look."""
    url = url_of_kind(request.param, request, tmp_path)
    timer = itertools.count(0.0, 0.25).__next__
    web = Web(lambda clock: open_store(url, clock=clock), observer=Observers([ledger], timer=timer))
    yield web
    if isinstance(web.memory, Closes):
        web.memory.close()


def test_every_call_of_a_real_store_is_timed(anywhere: Web, ledger: Ledger) -> None:
    """The store's own count of calls equals the timed ones: every call once, by its name, with its time."""
    anywhere.put(a=1)
    anywhere.do(lambda: session.bind("ada"))
    anywhere.put(a=2)
    anywhere.clock.advance(4 * DAY)
    anywhere.data()
    if Indexes in anywhere.sessions.manager.context.capabilities:
        assert len(anywhere.sessions.of("ada")) == 1
    anywhere.sessions.purge()
    anywhere.do(end)
    assert ledger.calls == anywhere.store.counts
    assert {"create", "load", "replace", "touch", "delete"} <= ledger.calls.keys() <= set(OPERATIONS)
    assert ledger.seconds == [0.25] * sum(ledger.calls.values())


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_no_label_names_anybody(ledger: Ledger) -> None:
    """Through the life of many sessions, whatever an observer hears is one of the frozen words."""
    web = Web(observer=ledger, PROPAGATE_EXCEPTIONS=False)
    for act in (*(act for act, settings in REJECTIONS.values() if not settings), with_an_outage):
        web.browser = web.app.test_client()  # the last one may have a cookie that is not judged here
        web.put(cart=["canary"])
        act(web)
    web.do(lambda: session.bind("ada@example.org"))
    web.sessions.revoke_all("ada@example.org")
    assert {event for event, _ in ledger.heard} > {"opens", "ended", "bound", "rejected", "store_unavailable"}
    assert all(label in EVENTS[event].values for event, label in ledger.heard)
    assert {call.partition(".")[0] for call in ledger.calls} <= set(OPERATIONS)
    assert {call.partition(".")[2] or "ok" for call in ledger.calls} <= set(OUTCOMES)


# --- the extension ---------------------------------------------------------------------------------------------------


def test_a_broken_observer_does_not_undo_a_logout(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """Requests are answered and sessions end even if an observer fails, and the next observer is called."""
    web = Web(observer=[Broken(), ledger])
    web.put(a=1)
    assert web.data() == {"a": 1}
    ledger.take()
    assert web.do(end).status_code == 200
    assert web.records() == 0
    assert ledger.take()["ended.logout"] == 1
    assert "a receiver of 'ended' failed" in caplog.messages


def test_one_observer_of_several_applications(ledger: Ledger) -> None:
    """The observer of `Session()` gets the events of each application."""
    sessions = Session(observer=ledger)
    for name in ("one", "two"):
        app = Flask(name)
        app.config.update(SESSION_STORE="memory://")
        app.add_url_rule("/", view_func=lambda: session.setdefault("a", "1"))
        sessions.init_app(app)
        app.test_client().get("/")
    assert ledger.take() == {"opens": 2, "created": 2, "saves.saved": 2}


def test_what_is_no_observer_is_refused() -> None:
    """A class instead of its object is an error where `Session` is made."""
    with pytest.raises(ConfigurationError, match="it must be an object with the methods of"):
        Session(observer=InMemoryMetrics)  # type: ignore[arg-type]  # the mistake that is meant


def test_an_observer_without_effect_is_told() -> None:
    """Sessions in Flask's signed cookie have no events, and a warning reports that."""
    app = Flask("shop")
    app.config.update(SECRET_KEY="made up for tests: B7u-q2Xn_fLw90Rk", SESSION_TYPE="null")
    with pytest.warns(UserWarning, match="an observer has no effect") as caught:
        Session(app, observer=InMemoryMetrics())
    assert caught[0].filename == __file__
