"""Lookups that decide for longer than a request: no cache answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.requests import Request

from holdfast.clock import system_clock
from holdfast.errors import LoginEnded
from holdfast.records.encryption import Keyring, new_key
from holdfast.sessions.cookie_manager import RevocableCookieManager
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import drive, load
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import CookieAction
from holdfast.stores.contract import Store
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.stores.pair import PairStore
from holdfast.testing import CountingStore, FakeClock

KEY = new_key()


def test_a_login_in_flight_does_not_miss_the_end_of_all_in_another_process() -> None:
    """The cut-off is read past the cache: a login that began before the end of all does not stand."""
    clock = FakeClock()
    shared = MemoryStore(clock=clock)
    here = Manager(NearCache(shared, staleness=60_000, clock=clock), clock=clock)
    there = Manager(shared, clock=clock)
    there.revoke_all("ada")
    clock.advance_ms(1)
    sign_in(here, "ada")  # which caches the cut-off
    clock.advance_ms(1)
    login = Request(here)
    login.get("the password is checked")
    clock.advance_ms(1)
    there.revoke_all("ada")
    login.bind("ada")
    with pytest.raises(LoginEnded):
        login.commit()
    assert there.of("ada") == []


def test_a_session_in_the_cookie_does_not_outlive_an_end_that_the_cache_missed() -> None:
    """Before a cookie is sent anew, revocations are looked up past the cache: it would be later than the cut-off."""
    clock = FakeClock()
    shared = MemoryStore(clock=clock)
    here, there = (
        RevocableCookieManager(Keyring([KEY]), names=["session"], store=store, clock=clock)
        for store in (NearCache(shared, staleness=60_000, clock=clock), shared)
    )
    there.revoke_all("ada")
    clock.advance_ms(1)
    login = sign_in(here, "ada")
    assert login.state.stored is not None
    value = login.state.stored.value
    clock.advance_ms(1)
    assert here.still_valid(value)
    there.revoke_all("ada")
    clock.advance_ms(1)
    session = Request(here, value)
    session["more"] = 1
    assert session.commit().cookie is CookieAction.NONE
    assert not there.still_valid(value)


@pytest.mark.parametrize("wrap", [CountingStore, lambda store: PairStore(store, MemoryStore()), NearCache])
def test_a_fresh_lookup_passes_what_is_around_a_cache(wrap: Callable[[Store], Any]) -> None:
    """Wrappers, pairs and caches pass the lookup on to the store behind the cache, and the cache keeps the answer."""
    shared = MemoryStore()
    cache = NearCache(shared, staleness=60_000)
    key, until = "ab" * 32, system_clock() + 60_000
    version = shared.create(key, b"old", expires_at=until)
    assert version is not None
    store = wrap(cache)
    assert store.load(key).data == b"old"
    shared.replace(key, b"new", expect=version, expires_at=until)
    assert cache.load(key).data == b"old"  # type: ignore[union-attr]  # it is there
    assert drive(load(key, fresh=True), store).data == b"new"  # type: ignore[union-attr]
    assert cache.load(key).data == b"new"  # type: ignore[union-attr]


def sign_in(manager: Requests, user: str) -> Request:
    """Return the request that signed *user* in."""
    login = Request(manager)
    login.bind(user)
    login.commit()
    return login
