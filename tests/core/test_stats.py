"""Everyone's sessions, counted and ended in steps."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import Web, rotate

from holdfast import ConfigurationError
from holdfast.flask import session
from holdfast.sessions.flows.walk import RevokeProgress
from holdfast.sessions.manager import directory

HOUR = 3_600


def sign_in(web: Web, name: str) -> Any:
    """Sign *name* in, in a browser of its own, and return the browser."""
    browser = web.app.test_client()
    web.do(lambda: session.bind(name), browser)
    return browser


@pytest.fixture
def web() -> Web:
    """Return an application with three users, five sessions of theirs and one of a visitor."""
    web = Web()
    for name in ("ada", "ada", "bob", "eve"):
        sign_in(web, name)
    web.clock.advance(2 * HOUR)
    sign_in(web, "ada")
    web.put(cart=[1])
    return web


def test_a_survey_tells_users_and_ages_apart(web: Web) -> None:
    """All live sessions are counted, by owner and by age, and other records are not."""
    manager = directory(web.sessions.manager)
    found, complete = manager.stats()
    assert complete
    assert (found.sessions, found.bound) == (6, 5)
    assert found.owners == {
        web.sessions.manager.keys.owner_of(name): number for name, number in [("ada", 3), ("bob", 1), ("eve", 1)]
    }
    assert (found.ages["under 1 hour"], found.ages["under 1 day"]) == (2, 4)


def test_a_survey_stops_when_it_is_enough(web: Web) -> None:
    """A stats asks after each page whether it is enough, and says that not all are counted."""
    for number in range(600):
        sign_in(web, f"user {number}")
    web.store.reset()
    found, complete = directory(web.sessions.manager).stats(enough=lambda counted: counted >= 100)
    assert not complete
    assert 100 <= found.sessions <= 500
    assert web.store.counts == {"scan": 1}


def test_everyone_is_ended_page_by_page(web: Web) -> None:
    """Page by page everyone's sessions are ended, in bounded steps, until a walk finds none left."""
    manager, progress, steps = directory(web.sessions.manager), None, 0
    while progress is None or not progress.over:
        before = progress.ended if progress else 0
        progress = manager.revoke_some(progress, limit=2)
        assert progress.ended - before <= 2
        steps += 1
    assert progress.ended == 6
    assert steps > 3
    assert web.sessions.count() == 0


def test_the_session_of_who_ends_everyone_is_kept(web: Web) -> None:
    """The kept session is left alone, also where it was just given another token."""
    manager = directory(web.sessions.manager)
    browser = sign_in(web, "operator")
    web.do(rotate, browser)
    kept = web.see(lambda: session.handle, browser)
    progress = manager.revoke_some(keep=kept)
    while not progress.over:
        progress = manager.revoke_some(progress, keep=kept)
    assert progress.ended == 6
    assert web.see(lambda: session.owner, browser) is not None
    assert web.sessions.count() == 1


def test_a_later_walk_leaves_who_signed_in_meanwhile(web: Web) -> None:
    """Who signs in after the first walk keeps the session, and the end comes to an end."""
    manager = directory(web.sessions.manager)
    progress = manager.revoke_some()
    assert not progress.first
    web.clock.advance(1)
    browser = sign_in(web, "ada")
    assert manager.revoke_some(progress) == RevokeProgress(progress.began, ended=6, over=True, first=False)
    assert web.see(lambda: session.owner, browser) is not None


def test_what_cannot_be_walked_is_neither_counted_nor_ended() -> None:
    """Sessions in cookies cannot be listed."""
    manager = Web(SESSION_STORE="cookie://").sessions.manager
    with pytest.raises(ConfigurationError, match="cannot be listed"):
        directory(manager)
