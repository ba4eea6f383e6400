"""The three-way merge of a session that two requests changed at once, key by key.

*base* is the common start, *theirs* is the session that the other request saved meanwhile, *mine* is this one's. Values
are compared by their encoding: ``1``, ``True`` and ``1.0`` differ, and NaN equals itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Flask keeps pending flash messages under this key: a queue. A request removes only the messages that it has read.
_QUEUE = "_flashes"

_MISSING: Any = object()


Same = Callable[[Any, Any], bool]


def merge(base: Mapping[Any, Any], mine: Mapping[Any, Any], theirs: Mapping[Any, Any], *, same: Same) -> dict[Any, Any]:
    """Return the session with both changes; *same* compares two values.

    A key that only one side changed is taken from that side. If both did, two lists that both extend the base's keep
    both tails, theirs first; otherwise mine, the later save, wins, with its value or its deletion. A list that both
    sides created extends the empty list, unless both are equal.
    """

    def alike(a: Any, b: Any) -> bool:
        return a is b if a is _MISSING or b is _MISSING else same(a, b)

    merged: dict[Any, Any] = {}
    for key in {**theirs, **mine}:
        sides = (base.get(key, _MISSING), mine.get(key, _MISSING), theirs.get(key, _MISSING))
        value = _merge_value(key, *sides, alike)
        if value is not _MISSING:
            merged[key] = value
    return merged


def _merge_value(key: Any, base: Any, mine: Any, theirs: Any, same: Same) -> Any:
    if same(mine, base):
        return theirs
    if same(theirs, base) or (base is _MISSING and same(mine, theirs)):
        return mine
    started = base if isinstance(base, list) else []
    my_tail, their_tail = _tail(mine, started, same), _tail(theirs, started, same)
    extendable = base is _MISSING or isinstance(base, list)
    if extendable and my_tail is not None and their_tail is not None:
        return started + their_tail + my_tail
    if key == _QUEUE:
        return _unseen(theirs, their_tail) + _unseen(mine, my_tail) or _MISSING
    return mine


def _tail(value: Any, started: list[Any], same: Same) -> list[Any] | None:
    """Return the items that *value* adds to *started*, or None if it is not a list that begins with it."""
    if not isinstance(value, list) or not same(value[: len(started)], started):
        return None
    return value[len(started) :]


def _unseen(value: Any, tail: list[Any] | None) -> list[Any]:
    """Return the messages of one side that the other side has not removed."""
    if tail is not None:
        return tail
    return value if isinstance(value, list) else []
