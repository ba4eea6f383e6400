"""A session is a mapping like a dict."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.codec import CountingCodec
from support.requests import Request

from holdfast.sessions.manager import Manager
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock

DATA: dict[str, Any] = {"name": "ada", "cart": [1], "hits": 2}


@pytest.fixture
def codec() -> CountingCodec:
    return CountingCodec()


@pytest.fixture
def manager(codec: CountingCodec) -> Manager:
    clock = FakeClock()
    return Manager(MemoryStore(clock=clock), codec=codec, clock=clock)


@pytest.fixture
def session(manager: Manager) -> Request:
    """Return a session that is stored with `DATA`, in a new request."""
    first = Request(manager)
    first.update(copy.deepcopy(DATA))
    first.commit()
    return Request(manager, first.token)


def test_it_equals_a_dict(session: Request) -> None:
    """It equals a dict with the same data, in both directions, and has its keys in the same order, or reversed."""
    assert session == DATA
    assert session == DATA
    assert (list(session), list(reversed(session))) == (list(DATA), list(reversed(DATA)))


def test_views_are_those_of_a_dict(session: Request) -> None:
    """Keys, values and items have the order of a dict's, also reversed, and show later changes."""
    views: list[Any] = [session.keys(), session.values(), session.items()]
    session["x"] = 1
    like = {**DATA, "x": 1}
    expected: list[Any] = [like.keys(), like.values(), like.items()]
    assert [list(view) for view in views] == [list(view) for view in expected]
    assert [list(reversed(view)) for view in views] == [list(reversed(view)) for view in expected]
    assert views[0] & {"x", "y"} == {"x"}


def test_popitem_takes_the_last_key(session: Request) -> None:
    """As from a dict, the key that was added last is removed first, and an empty session raises KeyError."""
    assert [session.popitem() for _ in DATA] == [*reversed(DATA.items())]
    with pytest.raises(KeyError, match="the session is empty"):
        session.popitem()


def test_copies_are_dicts(session: Request) -> None:
    """`copy` returns a dict with the same values, and `copy.deepcopy` one with copies of them."""
    shallow, same, deep = session.copy(), copy.copy(session), copy.deepcopy(session)
    assert shallow == same == deep == DATA
    assert [type(each) for each in (shallow, same, deep)] == [dict, dict, dict]
    assert shallow["cart"] is same["cart"] is session["cart"]
    assert deep["cart"] is not session["cart"]


def test_unions_are_dicts(session: Request) -> None:
    """`|` returns a dict in which the right side wins; the session is unchanged."""
    assert session | {"hits": 3, "x": 1} == {**DATA, "hits": 3, "x": 1}
    assert {"hits": 3, "x": 1} | session == {"x": 1, **DATA}
    assert type(session | {}) is type({} | session) is dict
    assert session == DATA
    with pytest.raises(TypeError):
        session | 7
    with pytest.raises(TypeError):
        7 | session


def test_a_union_in_place_is_an_update(session: Request, manager: Manager) -> None:
    """`|=` takes what `update` takes, and what it sets is stored."""
    here = session
    session |= {"hits": 3}
    session |= [("x", 1)]
    assert session is here
    assert session.commit().result == "saved"
    assert Request(manager, session.token) == {**DATA, "hits": 3, "x": 1}


def test_reading_modified_costs_no_encoding(session: Request, codec: CountingCodec) -> None:
    """`modified` that is read changes nothing: the end of the request encodes no more than without it."""
    written = codec.written
    assert session["name"] == "ada"
    assert session.modified is False
    assert session.commit().result == "unchanged"
    assert codec.written == written


def test_modified_is_true_after_any_change(session: Request) -> None:
    """A change of a key, of a part of a value, and `modified` set to True are seen."""
    assert session.modified is False
    session["cart"].append(2)
    assert session.modified is True
    session["cart"].pop()
    assert session.modified is False
    session.modified = True
    assert session.modified is True
