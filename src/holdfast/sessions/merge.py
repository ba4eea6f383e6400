"""The three-way merge of a session that two requests changed at once, key by key.

*base* is the common start, *theirs* is the session that the other request saved meanwhile, *mine* is this one's. Values
are compared by their encoding: ``1``, ``True`` and ``1.0`` differ, and NaN equals itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

#: Flask keeps pending flash messages under this key: a queue. A request removes only the messages that it has read.
_QUEUE = "_flashes"

_MISSING: Any = object()


#: Values of these types have their length in their encoding.
_SIZED = frozenset({list, dict, str, bytes})

Same = Callable[[Any, Any], bool]


class Encodings:
    """Compares values by their encodings, and encodes each of them once.

    A value must not change while this is in use. *encode* returns the encoding of a session's data.
    """

    def __init__(self, encode: Callable[[dict[Any, Any]], bytes]) -> None:
        self._encode = encode
        self._kept: dict[int, tuple[Any, bytes]] = {}
        self._before: dict[int, tuple[Any, bytes]] = {}

    def forget_unused(self) -> None:
        """Forget the encodings that were not used since the last call."""
        self._before, self._kept = self._kept, {}

    def __call__(self, a: Any, b: Any, /) -> bool:
        """Return whether the encodings of *a* and *b* are equal."""
        if a is b:
            return True
        if type(a) is type(b) and type(a) in _SIZED and len(a) != len(b):
            return False
        return self._of(a) == self._of(b)

    def _of(self, value: Any) -> bytes:
        found = self._kept.get(id(value)) or self._before.get(id(value)) or (value, self._encode({"": value}))
        self._kept[id(value)] = found
        return found[1]


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
        return [*theirs, *my_tail]
    if key == _QUEUE:
        return _unseen(theirs, their_tail) + _unseen(mine, my_tail) or _MISSING
    return mine


def _tail(value: Any, started: list[Any], same: Same) -> list[Any] | None:
    """Return the items that *value* adds to *started*, or None if it is not a list that begins with it."""
    size = len(started)
    if not isinstance(value, list) or len(value) < size:
        return None
    begins_with_it = all(map(operator.is_, value, started)) or same(value[:size], started)
    return value[size:] if begins_with_it else None


def _unseen(value: Any, tail: list[Any] | None) -> list[Any]:
    """Return the messages of one side that the other side has not removed."""
    if tail is not None:
        return tail
    return value if isinstance(value, list) else []
