"""The three-way merge, key by key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.records.codec import MSGPACK
from holdfast.sessions.merge import merge


def same(a: Any, b: Any) -> bool:
    """Compare as the flows do."""
    return MSGPACK.dumps({0: a}) == MSGPACK.dumps({0: b})


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        pytest.param({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="different new keys are both kept"),
        pytest.param({"a": 0, "b": 0}, {"a": 1, "b": 0}, {"a": 0, "b": 2}, {"a": 1, "b": 2}, id="different changes"),
        pytest.param({"a": 0}, {"a": 1}, {"a": 2}, {"a": 1}, id="the later save wins"),
        pytest.param({"a": 0}, {}, {"a": 2}, {}, id="a deletion beats an older write"),
        pytest.param({"a": 0}, {"a": 1}, {}, {"a": 1}, id="a write beats an older deletion"),
        pytest.param({"a": 0}, {"a": 0}, {}, {}, id="their deletion is kept"),
        pytest.param({"a": 0}, {}, {"a": 0}, {}, id="my deletion is kept"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3, 2]}, id="both tails of a list"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}, {"a": [1, 2, 2]}, id="the same item added twice is two"),
        pytest.param({}, {"a": [2]}, {"a": [3]}, {"a": [3, 2]}, id="two lists begun at once"),
        pytest.param({}, {"a": [1, 2]}, {"a": [1, 2]}, {"a": [1, 2]}, id="two lists begun alike are one"),
        pytest.param({"a": [1, 2]}, {"a": [2]}, {"a": [1, 2, 3]}, {"a": [2]}, id="a list that was cut is not extended"),
        pytest.param({"a": 1}, {"a": [1]}, {"a": [2]}, {"a": [1]}, id="a list in place of a number"),
        pytest.param({"a": (1,)}, {"a": (1, 2)}, {"a": (1, 3)}, {"a": (1, 2)}, id="tuples are values"),
        pytest.param({"a": 1}, {"a": True}, {"a": 1}, {"a": True}, id="True is not 1"),
        pytest.param({"a": 1}, {"a": 1.0}, {"a": 1}, {"a": 1.0}, id="1.0 is not 1"),
        pytest.param({"_flashes": ["x"]}, {}, {"_flashes": ["x", "y"]}, {"_flashes": ["y"]}, id="unseen flash is kept"),
        pytest.param({"_flashes": ["x"]}, {"_flashes": ["x", "y"]}, {}, {"_flashes": ["y"]}, id="seen flash is gone"),
        pytest.param({"_flashes": ["x"]}, {"_flashes": ["y"]}, {}, {"_flashes": ["y"]}, id="flash after the page"),
        pytest.param({}, {"_flashes": ["x"]}, {"_flashes": ["y"]}, {"_flashes": ["y", "x"]}, id="two first flashes"),
        pytest.param({"_flashes": ["x"]}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}, id="flashes shown twice at once"),
    ],
)
def test_merge(base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any], merged: dict[str, Any]) -> None:
    """Each pair of changes to one session has one stated outcome."""
    assert merged == merge(base, mine, theirs, same=same)


_values = st.one_of(st.integers(0, 3), st.lists(st.integers(0, 2), max_size=3))
_sessions = st.dictionaries(st.sampled_from("abcd"), _values)


@given(_sessions, _sessions)
def test_one_sided_change_is_taken_whole(base: dict[str, Any], changed: dict[str, Any]) -> None:
    """Where only one side changed anything, the merge is that side."""
    assert changed == merge(base, changed, base, same=same)
    assert changed == merge(base, base, changed, same=same)


@given(_sessions, _sessions, _sessions)
def test_no_key_appears_from_nowhere(base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Every key of the merge is one of a side's."""
    assert merge(base, mine, theirs, same=same).keys() <= mine.keys() | theirs.keys()
