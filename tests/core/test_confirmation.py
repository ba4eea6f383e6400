"""The result of `revoke` on a store that can confirm its writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.requests import Request

from holdfast.errors import StoreUnavailable
from holdfast.sessions.manager import Manager
from holdfast.stores.contract import Store
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.stores.pair import PairStore
from holdfast.testing import CountingStore, FailingStore


class Unsure(MemoryStore):
    """A memory store that answers *answer* when it is asked whether its writes are safe."""

    def __init__(self, answer: bool | Exception) -> None:
        super().__init__()
        self.answer = answer

    def confirm(self, key: str, /) -> bool:
        """Return the answer, or raise it."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "wrap", [lambda store: store, CountingStore, FailingStore, NearCache, lambda s: PairStore(s, MemoryStore())]
)
@pytest.mark.parametrize(
    ("store", "result"),
    [
        (MemoryStore(), "confirmed"),
        (Unsure(True), "confirmed"),
        (Unsure(False), "unconfirmed"),
        (Unsure(StoreUnavailable("gone")), "unconfirmed"),
    ],
)
def test_revoke_reports_no_more_than_the_store_promises(
    store: MemoryStore, result: str, wrap: Callable[[Store], Store]
) -> None:
    """A revoked session is over whatever the report; it is confirmed unless the store, wrapped or not, is unsure."""
    manager = Manager(wrap(store))
    session = Request(manager)
    session["user"] = "ada"
    session.commit()
    handle = session.handle
    assert handle is not None
    assert manager.revoke(handle) == result
    assert manager.get(handle) is None
    assert manager.revoke(handle) == "absent"
