"""Flows under the sync and the async driver."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.sessions.flows import commit, open_session
from holdfast.sessions.manager import Manager
from holdfast.sessions.mapping import Opened, ServerSession
from holdfast.sessions.ops import Flow, Load, Pause, drive, drive_async
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore, FakeClock


class AsyncStore:
    """A store whose methods are coroutines, over one whose methods are not."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return method(*args, **kwargs)

        return call


class Request(ServerSession):
    """A session without a front end."""

    def load(self) -> Opened:
        """Begin with nothing."""
        return Opened()


def test_the_async_driver_runs_the_same_flows() -> None:
    """A session is created, opened, changed and merged on an async store."""
    clock = FakeClock()
    manager = Manager(MemoryStore(clock=clock), clock=clock)
    store = AsyncStore(MemoryStore(clock=clock))

    async def scenario() -> dict[Any, Any]:
        first = Request(keys=manager.keys, started_at=clock())
        first["n"] = 1
        await drive_async(commit(manager.context, first), store)
        assert first.loaded is not None
        token = first.loaded.token
        racers = [Request(keys=manager.keys, started_at=clock()) for _ in range(10)]
        for racer in racers:
            racer.opened = await drive_async(open_session(manager.context, token), store)
            racer.apply("n", lambda n: n + 1)
        await asyncio.gather(*(drive_async(commit(manager.context, racer), store) for racer in racers))
        opened: Opened = await drive_async(open_session(manager.context, token), store)
        return opened.data

    assert asyncio.run(scenario()) == {"n": 11}


def _pausing() -> Flow[str]:
    yield Pause(0)
    return "done"


def _careful() -> Flow[str]:
    try:
        yield Load("k")
    except StoreUnavailable:
        return "caught"
    return "loaded"


def test_a_pause_is_the_drivers_to_make() -> None:
    """Both drivers wait and go on."""
    assert drive(_pausing(), object()) == "done"
    assert asyncio.run(drive_async(_pausing(), object())) == "done"


def test_a_store_error_is_raised_inside_the_flow() -> None:
    """A flow can answer to an outage; one that does not passes it on."""
    store = FailingStore(MemoryStore())
    store.fail("load")
    assert drive(_careful(), store) == "caught"
    store.fail("load")
    with pytest.raises(StoreUnavailable):
        drive(open_session(Manager(store).context, "t"), store)
