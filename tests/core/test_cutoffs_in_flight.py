"""What ends all sessions of a user, against the requests that are under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.requests import Request

from holdfast.errors import LoginEnded
from holdfast.records.encryption import Keyring, new_key
from holdfast.records.record import Page
from holdfast.sessions.cookie_manager import RevocableCookieManager
from holdfast.sessions.ends import Ends
from holdfast.sessions.manager import Manager
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import CookieAction
from holdfast.stores.contract import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

KEY = new_key()

_INDEXED = [pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED]


class Server:
    """One application: *manager*, whose clock is *clock*."""

    def __init__(self, manager: Requests, clock: FakeClock) -> None:
        assert isinstance(manager, Ends)
        self.manager, self.ends, self.clock = manager, manager, clock

    def signed_in(self, user: str) -> str:
        """Return the cookie of a new session of *user*."""
        login = Request(self.manager)
        login.bind(user)
        login.commit()
        return self.cookie(login)

    def cookie(self, session: Request) -> str:
        """Return the cookie's value of what a request has stored."""
        assert session.state.stored is not None
        self.clock.advance_ms(10)
        return session.state.stored.value

    def end_all(self, user: str) -> None:
        """End all sessions of *user*, a moment after what came before."""
        self.clock.advance_ms(10)
        self.ends.revoke_all(user)
        self.clock.advance_ms(10)


@pytest.fixture(params=[*_INDEXED, "cookie"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Return an application on each store with an index, and one whose sessions are in the cookie."""
    clock = FakeClock()
    if request.param == "cookie":
        store = MemoryStore(clock=clock)
        yield Server(RevocableCookieManager(Keyring([KEY]), names=["session"], store=store, clock=clock), clock)
        return
    inner = open_store(url_of_kind(request.param, request, tmp_path), clock=clock)
    yield Server(Manager(inner, clock=clock), clock)
    if isinstance(inner, Closes):
        inner.close()


def begun(server: Server, *, visited: bool) -> Request:
    """Return a request that begins now: of a new browser, or of a visitor who has a session."""
    if not visited:
        return Request(server.manager)
    visitor = Request(server.manager)
    visitor["seen"] = 1
    visitor.commit()
    return Request(server.manager, server.cookie(visitor))


def assert_nobody(server: Server, login: Request) -> None:
    """Assert that *login* has left no live session of a user. A visitor's may go on."""
    stored = login.state.stored
    assert stored is None or stored.owner is None or not server.manager.still_valid(stored.value)


@pytest.mark.parametrize("visited", [False, True], ids=["new", "visitor"])
def test_a_login_that_ends_the_others_gives_way_to_an_end_before_it(server: Server, visited: bool) -> None:
    """`bind` and `revoke_others` after a `revoke_all` that came while the request ran: the login does not stand."""
    login = begun(server, visited=visited)
    login.get("checks the old password")
    server.end_all("ada")
    login.bind("ada")
    login.revoke_others()
    with pytest.raises(LoginEnded, match="all sessions of the user were ended during the login: repeat it"):
        login.commit()
    assert_nobody(server, login)


def test_a_login_that_ends_the_others_stands(server: Server) -> None:
    """Without another end meanwhile, the login of the request that ends all other sessions is the one that is left."""
    other = server.signed_in("ada")
    login = Request(server.manager)
    login.bind("ada")
    login.revoke_others()
    assert login.commit().cookie is CookieAction.SEND
    assert server.manager.still_valid(server.cookie(login))
    assert not server.manager.still_valid(other)


def test_the_end_of_another_users_sessions_moves_no_login(server: Server) -> None:
    """A request that ends Bob's sessions, and then signs Ada in, gives way to an end of Ada's that came before."""
    login = Request(server.manager)
    login.get("nothing")
    server.end_all("ada")
    server.ends.revoke_all("bob", state=login.state)
    login.bind("ada")
    with pytest.raises(LoginEnded):
        login.commit()
    stored = login.state.stored
    assert stored is None or not server.manager.still_valid(stored.value)


def test_a_session_that_is_over_is_not_kept(server: Server) -> None:
    """A request whose session was ended meanwhile ends the others, and gets no live cookie by that."""
    session = Request(server.manager, server.signed_in("ada"))
    session.get("nothing")
    server.end_all("ada")
    session.revoke_others()
    session["more"] = 1
    assert session.commit().cookie is CookieAction.NONE
    assert session.state.stored is None or not server.manager.still_valid(session.state.stored.value)


def test_a_session_is_kept_again_and_again(server: Server) -> None:
    """Each change of the password keeps the session that it is made in, also the second one within the same request."""
    cookie = server.signed_in("ada")
    for _ in range(2):
        session = Request(server.manager, cookie)
        session.revoke_others()
        session.revoke_others()
        assert session.commit().cookie is CookieAction.SEND
        cookie = server.cookie(session)
    assert server.manager.still_valid(cookie)


class Endless(MemoryStore):
    """A store on which another session of Ada's begins before each page of hers is read."""

    manager: Manager
    clock: FakeClock
    logins = 0

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        """Sign Ada in, and read the page."""
        self.logins += 1
        assert self.logins < 1000
        self.clock.advance_ms(1)
        login = Request(self.manager)
        login.bind("ada")
        login.commit()
        return super().find(owner, after, limit=limit)


def test_logins_at_any_rate_do_not_keep_the_end_of_all_from_returning() -> None:
    """What began after the cut-off is not waited for; what began before is over."""
    clock = FakeClock()
    store = Endless(clock=clock)
    store.clock, store.manager = clock, Manager(store, clock=clock)
    server = Server(store.manager, clock)
    before = server.signed_in("ada")
    ended = store.manager.revoke_owner(store.manager.keys.owner_of("ada"))
    assert (ended.outcome, store.logins) == ("confirmed", 2)
    assert not store.manager.still_valid(before)


@pytest.mark.parametrize("visited", [False, True], ids=["new", "visitor"])
def test_a_cutoff_covers_the_moment_that_it_has(server: Server, visited: bool) -> None:
    """A login that began in the same millisecond as the end of all sessions gives way to it."""
    login = begun(server, visited=visited)
    login.bind("ada")
    server.manager.revoke_all("ada")
    with pytest.raises(LoginEnded):
        login.commit()
    assert_nobody(server, login)
