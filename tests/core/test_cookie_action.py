"""What a response says about the cookie."""

from __future__ import annotations

import pytest

from holdfast.events import SaveResult
from holdfast.sessions.state import CookieAction, cookie_action

SEND, NONE = CookieAction.SEND, CookieAction.NONE
FACTS = ("permanent", "was_permanent", "refresh", "marked")


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
    assert cookie_action(result, **{fact: fact in facts.split() for fact in FACTS}) is action
