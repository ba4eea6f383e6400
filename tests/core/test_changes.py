"""Changes are found wherever they are made, and looked for only where there can be one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.codec import CountingCodec
from support.requests import Request

from holdfast.sessions.manager import Manager
from holdfast.sessions.server_session import ServerSession
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock


@pytest.fixture
def codec() -> CountingCodec:
    return CountingCodec()


@pytest.fixture
def manager(codec: CountingCodec) -> Manager:
    clock = FakeClock()
    return Manager(MemoryStore(clock=clock), codec=codec, clock=clock)


def token_of(manager: Manager) -> str:
    """Return the token of a new session with a name and a cart."""
    session = Request(manager)
    session.update(name="alice", cart=[1])
    session.commit()
    return session.token


WAYS: dict[str, Callable[[ServerSession], list[int]]] = {
    "item": lambda session: session["cart"],
    "get": lambda session: session.get("cart"),
    "setdefault": lambda session: session.setdefault("cart", []),
    "values": lambda session: next(value for value in session.values() if isinstance(value, list)),
    "items": lambda session: dict(session.items())["cart"],
    "dict": lambda session: dict(session)["cart"],
    "copy": lambda session: session.copy()["cart"],
    "union": lambda session: (session | {})["cart"],
    "union from the right": lambda session: ({} | session)["cart"],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_nested_change_is_found_by_whatever_way_it_was_made(manager: Manager, way: str) -> None:
    """A list that was reached in any way and then extended is saved."""
    token = token_of(manager)
    session = Request(manager, token)
    WAYS[way](session).append(2)
    assert session.commit().result == "saved"
    assert Request(manager, token)["cart"] == [1, 2]


def test_a_value_that_cannot_change_is_not_written_to_be_compared(manager: Manager, codec: CountingCodec) -> None:
    """After a request that read only a text, the data is not encoded."""
    token = token_of(manager)
    before = codec.written
    session = Request(manager, token)
    assert (session["name"], session.get("name"), "cart" in session, len(session)) == ("alice", "alice", True, 2)
    assert session.commit().result == "unchanged"
    assert codec.written == before


def test_a_change_after_a_first_save_is_found(manager: Manager) -> None:
    """A value returned before one save can still be changed before the next one."""
    token = token_of(manager)
    session = Request(manager, token)
    cart = session["cart"]
    assert session.commit().result == "unchanged"
    cart.append(2)
    assert session.commit().result == "saved"
    assert Request(manager, token)["cart"] == [1, 2]
