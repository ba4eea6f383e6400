"""When a response sends the cookie again that the browser has."""

from __future__ import annotations

import pytest

from holdfast.clock import DAY, HOUR, MINUTE
from holdfast.records.envelope import Envelope
from holdfast.records.metadata import SENT_AT
from holdfast.sessions.policy import RETENTION, Policy
from holdfast.sessions.state import PERMANENT, SessionState, StoredSession

POLICY = Policy(idle=DAY, absolute=30 * DAY)
BEGAN = 1_800_000_000_000
QUARTER = 15 * MINUTE


def _state(*, age: int, sent: int | None = None, facts: str = "") -> SessionState:
    """Return the state of a request on a session that began *age* ago, and was last used a moment ago."""
    words = facts.split()
    meta = {} if sent is None else {SENT_AT: str(BEGAN + age - sent)}
    envelope = Envelope(BEGAN, BEGAN, DAY, b"", meta=meta)
    stored = StoredSession("token", "key", 1, BEGAN + age + DAY + RETENTION, None, envelope)
    state = SessionState(BEGAN + age, data={PERMANENT: True} if "permanent" in words else {})
    state.stored = stored
    state.navigation = "navigation" in words
    state.can_set_cookie = "websocket" not in words
    state.was_permanent = ("permanent" in words and "became" not in words) or "was_permanent" in words
    state.redeliver = "alias" in words
    state.refresh = "stale" in words
    state.background = "background" in words
    return state


@pytest.mark.parametrize(
    ("facts", "age", "due"),
    [
        # A session's cookie that ends with the browser lives long enough.
        ("navigation", 29 * DAY, False),
        # A page load gets it once per touch interval, any other request when half of its life is over.
        ("permanent navigation", QUARTER - 1, False),
        ("permanent navigation", QUARTER, True),
        ("permanent", DAY // 2 - 1, False),
        ("permanent", DAY // 2, True),
        # Nothing is gained near the end of the absolute timeout.
        ("permanent navigation", 29 * DAY + QUARTER, True),
        # It follows the session's kind at once.
        ("permanent became", 0, True),
        ("was_permanent", 0, True),
        # A token that a renewal made: a page load gets it at once, another request when no answer is on its way.
        ("alias navigation", 0, True),
        ("alias", POLICY.grace - 1, False),
        ("alias", POLICY.grace, True),
        # A signature by an old key.
        ("stale navigation", 0, True),
        ("stale", 0, False),
        # A poll is no use, and the response of a WebSocket has left.
        ("permanent navigation background", DAY // 2, False),
        ("permanent navigation websocket", DAY // 2, False),
        ("alias navigation websocket", 0, False),
    ],
)
def test_a_request_that_changes_nothing(facts: str, age: int, due: bool) -> None:
    """The cookie is sent again where that gives the browser something new, and no login can be under way."""
    assert _state(age=age, facts=facts).cookie_due(POLICY, BEGAN + age, changed=False) is due


@pytest.mark.parametrize(
    ("facts", "sent", "due"),
    [
        ("permanent navigation", QUARTER - 1, False),
        ("permanent navigation", QUARTER, True),
        ("permanent", DAY // 2 - 1, False),
        ("permanent", DAY // 2, True),
    ],
)
def test_a_cookie_that_was_sent_before(facts: str, sent: int, due: bool) -> None:
    """Its life counts from when it was last sent."""
    age = 10 * DAY
    assert _state(age=age, sent=sent, facts=facts).cookie_due(POLICY, BEGAN + age, changed=False) is due


def test_the_last_cookie_of_a_session() -> None:
    """When no cookie can live longer than the last one, because the session ends, none is sent."""
    age = 29 * DAY + DAY // 2
    state = _state(age=age, sent=DAY // 2, facts="permanent navigation")
    assert not state.cookie_due(POLICY, BEGAN + age, changed=False)


def test_an_application_that_refreshes_no_cookie() -> None:
    """With SESSION_REFRESH_EACH_REQUEST off, only a request that changes the session lets the cookie live longer."""
    policy = Policy(idle=DAY, absolute=30 * DAY, refresh_cookie=False)
    state = _state(age=HOUR, facts="permanent navigation")
    assert not state.cookie_due(policy, BEGAN + HOUR, changed=False)
    assert state.cookie_due(policy, BEGAN + HOUR, changed=True)


def test_a_poll_that_changes_something() -> None:
    """A background request that changes the session is a use of it."""
    state = _state(age=HOUR, facts="permanent navigation background")
    assert state.cookie_due(POLICY, BEGAN + HOUR, changed=True)
