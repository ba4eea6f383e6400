"""Hosts whose clocks differ: the store's clock counts, where it has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.requests import Request

from holdfast.clock import HOUR, system_clock
from holdfast.errors import LoginEnded, StoreUnavailable
from holdfast.records.encryption import Keyring, new_key
from holdfast.sessions.cookie_manager import RevocableCookieManager
from holdfast.sessions.ends import Ends
from holdfast.sessions.manager import Manager
from holdfast.sessions.state import CookieAction
from holdfast.stores.contract import Closes, KeepsTime, capabilities_of
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store
from holdfast.testing import CountingStore, FailingStore, FakeClock

KEY = new_key()
#: How far the clock of one host is ahead, in milliseconds.
AHEAD = [2_000, 50_000, HOUR, -50_000]


class TimedStore(MemoryStore):
    """A memory store whose server has a clock: that of the tests' system."""

    def now(self) -> int:
        """Return the time."""
        return system_clock()


class Hosts:
    """Two hosts of one application, *here* and *there*; the clock of *there* is *ahead*."""

    def __init__(self, here: Any, there: Any, clocks: list[FakeClock]) -> None:
        self.here, self.there, self.clocks = here, there, clocks

    def later(self) -> None:
        """Let ten seconds pass on both."""
        for clock in self.clocks:
            clock.advance(10)

    def signed_in(self, host: Any, *, after: Any = None) -> Request:
        """Sign ada in on *host* by a request that takes ten seconds, and return it; *after* is called in between."""
        login = Request(host)
        login.get("the password is checked")
        self.later()
        if after is not None:
            after()
            self.later()
        login.bind("ada")
        assert login.commit().cookie is CookieAction.SEND
        return login


def is_live(host: Any, login: Request) -> bool:
    """Return whether the session of *login* lives, by the clock of *host*."""
    assert login.state.stored is not None
    return bool(host.still_valid(login.state.stored.value))


_TIMED = ["redis", "mongodb", "mariadb", "postgresql"]


@pytest.fixture(params=["timed", "cookie", *(pytest.param(kind, marks=KINDS[kind]) for kind in _TIMED)])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of store whose server has a clock, or of sessions in the cookie with revocations in such a store."""
    return str(request.param)


@pytest.fixture(params=AHEAD, ids=lambda ahead: f"{ahead // 1000}s")
def hosts(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts on one store."""
    clocks = [FakeClock(system_clock()), FakeClock(system_clock() + request.param)]
    shared = TimedStore(clock=clocks[0])
    with ExitStack() as stack:
        managers: list[Any] = []
        for clock in clocks:
            if kind == "cookie":
                managers.append(RevocableCookieManager(Keyring([KEY]), names=["session"], store=shared, clock=clock))
                continue
            store: Any = shared if kind == "timed" else open_store(url_of_kind(kind, request, tmp_path), clock=clock)
            assert KeepsTime in capabilities_of(store)
            stack.callback(store.close)
            managers.append(Manager(store, clock=clock))
        for manager in managers:
            manager.revoke_all("nobody")  # measures, before the clocks of the test go on without that of the server
        yield Hosts(managers[0], managers[1], clocks)


def test_a_login_after_the_end_of_all_on_another_host_stands(hosts: Hosts) -> None:
    """Whichever of the hosts is ahead, a user who signs in ten seconds after the end of all is signed in."""
    for one, other in ((hosts.there, hosts.here), (hosts.here, hosts.there)):
        assert isinstance(one, Ends)
        one.revoke_all("ada")
        hosts.later()
        assert is_live(other, hosts.signed_in(other))


def test_a_login_before_the_end_of_all_on_another_host_does_not(hosts: Hosts) -> None:
    """Whichever of the hosts is ahead, a login that is under way does not outlive the end of all, and says so."""
    for one, other in ((hosts.there, hosts.here), (hosts.here, hosts.there)):
        with pytest.raises(LoginEnded):
            hosts.signed_in(other, after=lambda one=one: one.revoke_all("ada"))


def test_what_began_before_the_end_of_all_is_over_everywhere(hosts: Hosts, kind: str) -> None:
    """A session of either host is over on both."""
    for one, other in ((hosts.there, hosts.here), (hosts.here, hosts.there)):
        login = hosts.signed_in(other)
        one.revoke_all("ada")
        hosts.later()
        assert not is_live(one, login)
        assert not is_live(other, login)
        if kind != "cookie":
            assert one.of("ada") == []


@pytest.mark.parametrize("embedded", [kind for kind in INDEXED if kind not in _TIMED])
def test_a_login_that_is_refused_says_so(embedded: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Where hosts share no clock, a login elsewhere soon after the end of all on a host ahead is an error, not lost."""
    clock, shared = FakeClock(), MemoryStore(clock=FakeClock())
    for ahead in (0, 2_000):
        store: Any = shared
        if embedded != "memory":
            store = open_store(url_of_kind(embedded, request, tmp_path), clock=clock)
        manager = Manager(store, clock=lambda ahead=ahead: clock() + ahead)  # type: ignore[misc]
        if ahead:
            manager.revoke_all("ada")
            login = Request(Manager(store, clock=clock))
            login.bind("ada")
            with pytest.raises(LoginEnded, match="during the login: repeat it"):
                login.commit()
            assert manager.of("ada") == []


def test_an_ordinary_login_does_not_ask_for_the_time() -> None:
    """The offset is measured where there is a cut-off, once a minute at most."""
    clock = FakeClock(system_clock())
    store = CountingStore(TimedStore(clock=clock))
    manager = Manager(store, clock=clock)
    hosts = Hosts(manager, manager, [clock])
    hosts.signed_in(manager)
    assert store.counts["now"] == 0
    for _ in range(3):
        manager.revoke_all("ada")
        hosts.later()
        hosts.signed_in(manager)
    assert store.counts["now"] == 1


def test_the_end_of_all_needs_no_time() -> None:
    """Where the store does not answer with its time, all are ended by what is known of it."""
    clock = FakeClock(system_clock())
    store = FailingStore(TimedStore(clock=clock))
    manager = Manager(store, clock=clock)
    hosts = Hosts(manager, manager, [clock])
    login = hosts.signed_in(manager)
    store.fail("now")
    assert manager.revoke_owner(manager.keys.owner_of("ada")).outcome == "confirmed"
    assert not is_live(manager, login)
    store.fail("now", times=2)
    hosts.later()
    with pytest.raises(StoreUnavailable):
        hosts.signed_in(manager)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()])
def test_a_host_that_is_ahead_removes_nothing_for_good(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """An hour ahead, its purge and its logins remove no session, entry of an index or cut-off of the others."""
    clock, store = FakeClock(system_clock()), None
    managers: list[Any] = []
    with ExitStack() as stack:
        for ahead in (0, HOUR):
            host = FakeClock(clock() + ahead)
            if kind != "memory" or store is None:
                store = open_store(url_of_kind(kind, request, tmp_path), clock=host)
            if isinstance(store, Closes):
                stack.callback(store.close)
            managers.append(Manager(store, clock=host))
        here, there = managers
        if kind != "memcached":
            here.revoke_all("ada")
            clock.advance(1)
        session = Request(here)
        session.state.started_at += 1_000
        session.bind("ada")
        assert session.commit().cookie is CookieAction.SEND
        there.purge()
        for user in ("ada", "bob"):
            login = Request(there)
            login.bind(user)
            login.commit()
        there.purge()
        assert is_live(here, session)
        if kind != "memcached":
            assert here.store.load(here.keys.cutoff_key(here.keys.owner_of("ada"))) is not None
            assert here.revoke_all("ada") == 2
            assert not is_live(here, session)
