"""What a manager offers besides the requests it serves: an interface is there only where it is possible."""

from __future__ import annotations

import pytest
from support.requests import Request

from holdfast.errors import ConfigurationError
from holdfast.records.encryption import Keyring, new_key
from holdfast.sessions.cookie_manager import CookieManager, RevocableCookieManager
from holdfast.sessions.ends import Ends, ends
from holdfast.sessions.manager import Manager, directory
from holdfast.sessions.requests import Requests
from holdfast.stores.memory import MemoryStore

KEYRING = Keyring([new_key()])


def stored() -> Manager:
    """Return a manager of sessions in a store."""
    return Manager(MemoryStore())


def in_cookies() -> CookieManager:
    """Return a manager of sessions in cookies."""
    return CookieManager(KEYRING, names=["session"])


def revocable() -> RevocableCookieManager:
    """Return a manager of sessions in cookies, with a store of revocations."""
    return RevocableCookieManager(KEYRING, names=["session"], store=MemoryStore())


def test_sessions_in_a_store_are_listed_and_ended() -> None:
    """The manager of stored sessions offers every interface."""
    manager = stored()
    assert (directory(manager), ends(manager)) == (manager, manager)


def test_sessions_in_cookies_are_neither() -> None:
    """Without a store nothing of it is offered, and each error says what to set."""
    manager: Requests = in_cookies()
    assert [isinstance(manager, each) for each in (Manager, Ends)] == [False, False]
    with pytest.raises(ConfigurationError, match="cannot be listed: keep them in a store"):
        directory(manager)
    with pytest.raises(ConfigurationError, match="without a store for revocations"):
        ends(manager)
    with pytest.raises(ConfigurationError, match=r"have no session\.pop_once\(\): keep them in a store"):
        directory(manager, "have no session.pop_once()")


def test_with_a_store_of_revocations_they_end() -> None:
    """With a store of revocations they can be ended, and not be listed."""
    manager: Requests = revocable()
    assert [isinstance(manager, each) for each in (Manager, Ends)] == [False, True]
    assert ends(manager).revoke("nonsense") == "absent"


def test_a_manager_of_cookies_serves_requests_without_a_store() -> None:
    """A session is made, read and checked with nothing but the cookie's value."""
    manager = in_cookies()
    first = Request(manager)
    first["a"] = 1
    assert first.commit().result == "saved"
    assert first.state.stored is not None
    value = first.state.stored.value
    assert Request(manager, value)["a"] == 1
    assert manager.still_valid(value)
    assert manager.still_valid(first.state)
    assert not manager.still_valid(value[:-4])


def test_a_revoked_handle_is_confirmed_once() -> None:
    """A session ends by its handle, with whatever the store confirms; again, or under no handle, it is absent."""
    manager = revocable()
    request = Request(manager)
    request["a"] = 1
    request.commit()
    assert request.state.stored is not None
    handle, value = request.state.stored.key, request.state.stored.value
    assert manager.revoke(handle) == "confirmed"
    assert (manager.revoke(handle), manager.revoke("nonsense")) == ("absent", "absent")
    assert not manager.still_valid(value)
    assert Request(manager, value).get("a") is None
