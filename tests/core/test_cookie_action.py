"""What a response says about the cookie."""

from __future__ import annotations

from itertools import combinations

import pytest

from holdfast.events import SaveResult
from holdfast.sessions.state import CookieAction, Outcome, cookie_action

SEND, KEEP, DELETE, NONE = CookieAction.SEND, CookieAction.KEEP, CookieAction.DELETE, CookieAction.NONE
FACTS = ("permanent", "was_permanent", "refresh", "marked")


def _decide(outcome: Outcome, *facts: str) -> CookieAction:
    return cookie_action(outcome, **{fact: fact in facts for fact in FACTS})


@pytest.mark.parametrize(
    ("result", "facts", "action"),
    [
        # Nothing changed: the cookie is sent if it is due, if a key was set all the same, or if its life changed.
        ("unchanged", "", NONE),
        ("unchanged", "marked", SEND),
        ("unchanged", "refresh", SEND),
        ("unchanged", "permanent was_permanent", NONE),
        ("unchanged", "permanent was_permanent refresh", SEND),
        ("unchanged", "permanent", SEND),
        ("unchanged", "was_permanent", SEND),
        # A change was stored: a permanent session lives longer now, another's cookie says nothing new.
        ("saved", "marked", NONE),
        ("merged", "marked", NONE),
        ("saved", "marked permanent was_permanent", SEND),
        ("merged", "marked permanent was_permanent", SEND),
        ("saved", "marked was_permanent", SEND),
        ("saved", "marked permanent", SEND),
        ("saved", "marked refresh", SEND),
    ],
)
def test_a_cookie_that_the_browser_has(result: SaveResult, facts: str, action: CookieAction) -> None:
    """The token is sent again only where that gives the browser something new."""
    assert _decide(Outcome(result, KEEP), *facts.split()) is action


@pytest.mark.parametrize("settled", [SEND, DELETE, NONE])
def test_what_is_settled_stays(settled: CookieAction) -> None:
    """A new token is sent, an end deletes the cookie, and for a session that is gone nothing is sent, in any case."""
    for number in range(len(FACTS) + 1):
        for facts in combinations(FACTS, number):
            assert _decide(Outcome("saved", settled), *facts) is settled
