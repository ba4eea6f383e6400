"""The three-way merge of a session that two requests changed at once, key by key.

*base* is what both started from, *theirs* is what the other request saved meanwhile, *mine* is what this one wants.
Values are compared by their encoding, as everywhere: ``1``, ``True`` and ``1.0`` differ, and NaN equals itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Flask keeps pending flash messages under this key: a queue. Whoever takes the messages out takes only those it saw.
_QUEUE = "_flashes"

_MISSING: Any = object()


Same = Callable[[Any, Any], bool]


def merge(base: Mapping[Any, Any], mine: Mapping[Any, Any], theirs: Mapping[Any, Any], *, same: Same) -> dict[Any, Any]:
    """Return the session with both changes; *same* compares two values.

    A key that only one side changed is taken from that side. Where both did, two lists that both extend the base's
    keep both tails, theirs first; otherwise mine, the later save, wins, be it a value or a deletion. A list that both
    sides began extends the empty list, unless they began it alike.
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
    """Return what *value* adds to *started*, or None when it is not a list that begins with it."""
    if not isinstance(value, list) or not same(value[: len(started)], started):
        return None
    return value[len(started) :]


def _unseen(value: Any, tail: list[Any] | None) -> list[Any]:
    """Return the messages of one side that the other side has not taken out."""
    if tail is not None:
        return tail
    return value if isinstance(value, list) else []
