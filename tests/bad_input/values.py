"""Values that are supported, values that are refused, and names."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from markupsafe import Markup


class Lazy:
    """Text that is made when it is needed, as translations are."""

    def __str__(self) -> str:
        return "hello"


def cycle() -> Any:
    """Return a list that holds itself."""
    loop: list[Any] = []
    loop.append({"again": loop})
    return loop


def deep(levels: int) -> Any:
    """Return so many lists in each other."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


KEPT: dict[str, Any] = {
    "set": {1, "a", (2, 3)},
    "frozenset": frozenset({1}),
    "bytes": b"\x00\xff",
    "decimal": Decimal("1.10"),
    "aware": datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc),
    "other zone": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "naive": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001  # as applications write them
    "date": date(2026, 1, 2),
    "span": timedelta(days=-1, microseconds=1),
    "tuple": (1, (2, [3])),
    "int keys": {1: "one", (1, 2): "pair", None: 0},
    "big": 2**70,
    "negative": -(2**70),
    "none": None,
    "true": True,
    "float": 0.1,
    "infinity": math.inf,
    "markup": Markup("<b>bold</b>"),
    "uuid": UUID(int=7),
    "text": "zürich 🍪 \x00 \u2028",
    "nested": {"a": [{"b": ({"c": {1}},)}]},
    "surrogate": "a\ud800",
    "40 deep": deep(40),
    "empty": {"": [], "x": {}, "y": ()},
}

REFUSED: dict[str, Callable[[], Any]] = {
    "cycle": cycle,
    "100,000 deep": lambda: deep(100_000),
    "150 deep": lambda: deep(150),
    "object": object,
    "generator": lambda: (each for each in (1, 2)),
    "lazy": Lazy,
    "function": lambda: len,
    "class": lambda: int,
    "memory": lambda: memoryview(b"x"),
    "module": lambda: math,
}

NAMES = [
    "__class__", "__proto__", "__dict__", "_id", "$set", "$where", "a.b", "a", "", " ", "\x00", "\n", "payload", "meta",
    "created_at", "issued_at", "idle", "version", "expires_at", "owner", "data", "key", "base64", " t", " di",
    "__ext__",
    "$", "$t", "'; --", "%s", "{0}", "\U0001f36a", "\u2028", "k" * 5000,
]  # fmt: skip
