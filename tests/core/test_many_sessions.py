"""Thousands of sessions of one user, or of everybody: what lists and ends them costs a page, and not each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support.capabilities import PlainStore
from support.requests import Request

from holdfast.clock import DAY, system_clock
from holdfast.errors import StoreUnavailable
from holdfast.events import ended
from holdfast.records.envelope import Envelope, encode
from holdfast.records.tokens import new_token
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.stores.contract import Discards, Store
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.testing import CountingStore, FailingStore

MANY = 3_000
#: Five hundred to a page, once more for each walk, and a few calls about the cut-off.
FEW = 2 * 2 * (MANY // 500 + 1) + 5


def add(manager: Manager, number: int, *, user: str = "ada") -> list[str]:
    """Store *number* sessions of *user*, and return their keys."""
    now, keys = system_clock(), [manager.keys.key_of(new_token()) for _ in range(number)]
    for key in keys:
        data, owner = encode(Envelope(now, now, 31 * DAY, b"\x80")), manager.keys.owner_of(user)
        assert manager.store.create(key, data, expires_at=now + 31 * DAY, owner=owner) is not None
    return keys


@pytest.fixture
def ends() -> Any:
    """The number of ends that were reported, by handle and reason."""
    found: Counter[tuple[str, str]] = Counter()

    def receive(_: object, *, handle: str, reason: str, **__: object) -> None:
        found[handle, reason] += 1

    with ended.connected_to(receive):
        yield found


def test_all_of_a_user_end_by_the_page(ends: Counter[tuple[str, str]]) -> None:
    """3,000 sessions end in a few calls, each is reported once, and those of others stay."""
    manager = Manager(store := CountingStore(MemoryStore()))
    theirs, others = add(manager, MANY), add(manager, 3, user="bob")
    store.reset()
    assert manager.revoke_all("ada") == MANY
    assert store.counts.total() <= FEW
    assert ends == {(key, "revoked"): 1 for key in theirs}
    assert [store.load(key) is None for key in others] == [False] * 3


def test_all_of_everybody_end_by_the_page(ends: Counter[tuple[str, str]]) -> None:
    """The same for all users."""
    manager = Manager(store := CountingStore(MemoryStore()))
    theirs = add(manager, MANY) + add(manager, 3, user="bob")
    store.reset()
    assert manager.revoke_everyone() == MANY + 3
    assert store.counts.total() <= FEW
    assert ends == {(key, "revoked"): 1 for key in theirs}


def test_a_list_of_some_costs_a_page() -> None:
    """With a limit one call reads so many, the request's own session among them, whichever those are."""
    manager = Manager(store := CountingStore(MemoryStore()))
    keys = sorted(add(manager, MANY))
    for current in (keys[0], keys[-1]):
        store.reset()
        found = manager.of("ada", current=current, limit=100)
        assert len(found) == len({each.handle for each in found}) == 100
        assert [each.handle for each in found if each.current] == [current]
        assert store.counts == {"find": 1} | ({"load": 1} if current == keys[-1] else {})
    store.reset()
    assert len(manager.of("ada")) == MANY
    assert store.counts.total() == MANY // 500 + 1


@pytest.mark.parametrize("on_max_per_user", ["evict", "refuse"])
def test_a_login_under_a_limit_costs_pages(on_max_per_user: Any, ends: Counter[tuple[str, str]]) -> None:
    """Of 3,000 sessions a login under a limit ends those that are too many, all at once, and reads pages."""
    limit = {"evict": 10, "refuse": 2 * MANY}[on_max_per_user]
    policy = Policy(max_per_user=limit, on_max_per_user=on_max_per_user)
    manager = Manager(store := CountingStore(MemoryStore()), policy=policy)
    add(manager, MANY)
    store.reset()
    session = Request(manager)
    session.bind("ada")
    session.commit()
    assert store.counts.total() <= FEW
    assert len(manager.of("ada")) == min(limit, MANY + 1)
    assert Counter(reason for _, reason in ends) == Counter({"evicted": max(0, MANY + 1 - limit)})


def test_one_that_was_saved_meanwhile_ends_by_itself(ends: Counter[tuple[str, str]]) -> None:
    """A session that changes after it was listed is over too."""

    class SavedMeanwhile(MemoryStore):
        def discard(self, versions: Any, /) -> frozenset[str]:
            key = next(iter(versions))
            record = self.load(key)
            assert record is not None
            self.replace(key, record.data, expect=record.version, expires_at=record.expires_at, owner=record.owner)
            return super().discard(versions)

    manager = Manager(SavedMeanwhile())
    keys = add(manager, 10)
    assert manager.revoke_all("ada") == 10
    keys += add(manager, 10)
    assert manager.revoke_everyone() == 10
    assert ends == {(key, "revoked"): 1 for key in keys}
    assert manager.of("ada") == []


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("everybody", [True, False])
def test_a_failure_while_they_end_loses_none(before: bool, everybody: bool, ends: Counter[tuple[str, str]]) -> None:
    """The call that ends a page fails, or its answer is lost: all are over, counted, and reported once."""
    manager = Manager(store := FailingStore(MemoryStore()))
    keys = add(manager, 5)
    store.fail("discard", before=before)
    assert (manager.revoke_everyone() if everybody else manager.revoke_all("ada")) == 5
    assert manager.of("ada") == []
    assert ends == {(key, "revoked"): 1 for key in keys}


@pytest.mark.parametrize("everybody", [True, False])
def test_a_failure_that_lasts_while_they_end_loses_none(everybody: bool, ends: Counter[tuple[str, str]]) -> None:
    """The answer of the call that ends a page is lost, and the next calls fail too: all are counted, and reported."""

    class Losing(FailingStore):
        def around(self, operation: str, call: Callable[[], Any]) -> Any:
            if operation == "discard":
                self.fail("discard", before=False)
                self.fail("load", "replace", times=2)
            return super().around(operation, call)

    manager = Manager(Losing(MemoryStore()))
    keys = add(manager, 5)
    assert (manager.revoke_everyone() if everybody else manager.revoke_all("ada")) == 5
    assert ends == {(key, "revoked"): 1 for key in keys}


def test_an_outage_while_they_end_is_an_error() -> None:
    """Where nothing can be ended, the answer is an error, not a number."""
    manager = Manager(store := FailingStore(MemoryStore()))
    add(manager, 5)
    store.fail("discard", "replace", "delete", "load", before=True, times=float("inf"))
    with pytest.raises(StoreUnavailable):
        manager.revoke_all("ada")


def test_a_store_that_cannot_discard_ends_each(ends: Counter[tuple[str, str]]) -> None:
    """Without the capability, each session ends by itself."""
    memory, plain = MemoryStore(), PlainStore()
    for method in ("load", "create", "replace", "touch", "delete", "find", "scan"):
        setattr(plain, method, getattr(memory, method))
    store: Store = plain  # type: ignore[assignment]  # its methods are attributes
    assert not isinstance(store, Discards)
    manager = Manager(store)
    keys = add(manager, 7)
    assert manager.revoke_all("ada") == 7
    keys += add(manager, 7)
    assert manager.revoke_everyone() == 7
    assert ends == {(key, "revoked"): 1 for key in keys}


def test_a_near_cache_forgets_what_is_discarded() -> None:
    """A record that was ended with others is not answered from memory."""
    store = NearCache(MemoryStore())
    manager = Manager(store)
    keys = add(manager, 3)
    assert all(store.load(key) for key in keys)
    assert manager.revoke_all("ada") == 3
    assert not any(store.load(key) for key in keys)
