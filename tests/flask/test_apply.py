"""`apply`, and what else a session knows and does beyond Flask's."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import Web, end

from holdfast.flask import session


def add(number: int) -> int:
    """Return the next number."""
    return number + 1


def test_apply_counts_what_others_count_meanwhile(web: Web) -> None:
    """A function that is applied while another request applies it too is applied to what that one left."""
    web.put(hits=10)
    other = web.twin()

    def view() -> None:
        assert session.apply("hits", add) == 11
        for _ in range(3):
            web.do(lambda: session.apply("hits", add), other)

    web.do(view)
    assert web.data() == {"hits": 14}


def test_apply_twice_in_one_request(web: Web) -> None:
    """Every application counts, also after a conflict."""
    web.put(hits=0)
    other = web.twin()

    def view() -> None:
        session.apply("hits", add)
        session.apply("hits", lambda hits: hits * 10)
        web.put(other, hits=5)

    web.do(view)
    assert web.data() == {"hits": 60}


def test_apply_starts_from_a_copy_of_the_default(web: Web) -> None:
    """A default is never changed, so that it can be shared."""
    empty: list[int] = []

    def view() -> None:
        session.apply("items", lambda items: [*items, len(items)], default=empty)
        session.apply("grown", lambda items: items.append(1) or items, default=empty)

    web.do(view)
    assert empty == []
    assert web.data() == {"items": [0], "grown": [1]}


def test_apply_after_a_plain_set_is_a_plain_set(web: Web) -> None:
    """A request's own assignment is the base of its `apply`, whatever others do."""
    web.put(hits=1)
    other = web.twin()

    def view() -> None:
        session["hits"] = 100
        session.apply("hits", add)
        web.put(other, hits=2)

    web.do(view)
    assert web.data() == {"hits": 101}


def test_a_plain_set_after_apply_is_the_last_word(web: Web) -> None:
    """Setting or removing a key after `apply` undoes it."""
    web.put(hits=1, gone=1)
    other = web.twin()

    def view() -> None:
        session.apply("hits", add)
        session.apply("gone", add)
        session["hits"] = 7
        del session["gone"]
        web.put(other, hits=2, gone=2)

    web.do(view)
    assert web.data() == {"hits": 7}


def test_apply_with_a_function_that_fails(web: Web) -> None:
    """An exception of the function is raised in the view, and nothing is applied."""
    web.put(hits=1)

    def view() -> None:
        with pytest.raises(ZeroDivisionError):
            session.apply("hits", lambda hits: hits / 0)

    web.do(view)
    assert web.data() == {"hits": 1}


def test_apply_costs_a_write(web: Web) -> None:
    """One load and one compare-and-set; a function that changes nothing costs only the load."""
    web.put(hits=1)
    assert web.calls(lambda: session.apply("hits", add)) == {"load": 1, "replace": 1}
    assert web.calls(lambda: session.apply("hits", lambda hits: hits)) == {"load": 1}


@pytest.mark.parametrize("key", ["_flashes", "items"])
def test_two_lists_that_grow_at_once_keep_both_tails(web: Web, key: str) -> None:
    """Lists that both requests extend are merged, theirs first."""
    web.do(lambda: session.update({key: [["m", "a"]]}))
    other = web.twin()

    def view() -> None:
        session[key].append(["m", "mine"])
        web.do(lambda: session[key].append(["m", "theirs"]), other)

    web.do(view)
    assert web.data() == {key: [["m", "a"], ["m", "theirs"], ["m", "mine"]]}


def test_the_later_save_of_one_key_wins(web: Web) -> None:
    """Where both set one key, the later save decides, and a removal is a change like any other."""
    web.put(a=0, b=0)
    other = web.twin()

    def view() -> None:
        session["a"] = "mine"
        del session["b"]
        web.put(other, a="theirs", b="theirs", c="theirs")

    web.do(view)
    assert web.data() == {"a": "mine", "c": "theirs"}


def test_bind_needs_a_user(web: Web) -> None:
    """Binding to None is an error that says how to log out."""
    with pytest.raises(TypeError, match=r"to end a session call destroy\(\)"):
        web.do(lambda: session.bind(None))


@pytest.mark.parametrize("user", [7, "7", "zürich", "x" * 10_000])
def test_any_user_id_can_be_bound(web: Web, user: Any) -> None:
    """A user id is taken as its text, of any length."""
    web.do(lambda: session.bind(user))
    assert len(web.sessions.of(str(user))) == 1


def test_what_a_session_knows_of_itself(web: Web) -> None:
    """Its handle, its beginning and its owner, or None if it is not stored."""

    def look() -> Any:
        return session.handle, session.created_at, session.owner, session.read_only

    assert web.see(look) == (None, None, None, False)
    web.put(a=1)
    handle, created_at, owner, read_only = web.see(look)
    assert len(handle) == 64
    assert (created_at, owner, read_only) == (web.clock(), None, False)
    web.do(lambda: session.bind("ada"))
    assert web.see(lambda: session.owner) == web.sessions.of("ada")[0].owner
    web.do(end)
    assert web.see(look) == (None, None, None, False)
