"""The values of an application: stored unchanged, or refused by name."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from markupsafe import Markup
from support.web import Web

from holdfast.errors import EncodeError
from holdfast.flask import session

KEPT = {
    "tuple": (1, (2, [3])),
    "bytes": b"\x00\xff",
    "markup": Markup("<b>bold</b>"),
    "uuid": UUID(int=7),
    "aware": datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc),
    "other zone": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "naive": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001  # as applications write them
    "date": date(2026, 1, 2),
    "span": timedelta(days=-1, microseconds=1),
    "set": {1, "a", (2, 3)},
    "frozenset": frozenset({1}),
    "decimal": Decimal("1.10"),
    "big": 2**70,
    "negative": -(2**70),
    "none": None,
    "true": True,
    "float": 0.1,
    "infinity": math.inf,
    "text": "zürich 🍪 \x00 \u2028",
    "nested": {"a": [{"b": ({"c": {1}},)}]},
    "int keys": {1: "one", (1, 2): "pair", None: 0},
    "empty": {"": [], "x": {}, "y": ()},
}


@pytest.mark.parametrize("format_", ["msgpack", "json"])
@pytest.mark.parametrize("name", KEPT)
def test_w1_values_come_back_as_they_were(name: str, format_: str) -> None:
    """The types of Flask's own sessions, and more, are returned equal and of the same type."""
    web = Web(SESSION_SERIALIZATION_FORMAT=format_)
    web.put(value=KEPT[name])
    found = web.see(lambda: session["value"])
    assert found == KEPT[name]
    assert type(found) is type(KEPT[name])
    assert repr(found) == repr(KEPT[name]) or isinstance(found, set | dict)


def _cycle() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def _deep() -> Any:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    return value


REFUSED = {
    "object": object,
    "generator": lambda: iter([1]),
    "function": lambda: len,
    "class": lambda: int,
    "cycle": _cycle,
    "deep": _deep,
    "lone surrogate": lambda: "\ud800",
    "module": lambda: json,
}


@pytest.mark.parametrize("format_", ["msgpack", "json"])
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_w1_values_that_cannot_be_kept(make: Any, format_: str) -> None:
    """An unsupported value is a TypeError that names the key, and the session does not change."""
    web = Web(SESSION_SERIALIZATION_FORMAT=format_)
    web.put(cart=[1])
    with pytest.raises(EncodeError, match="value"):
        web.put(cart=[2], value=make())
    assert web.data() == {"cart": [1]}


@pytest.mark.parametrize("format_", ["msgpack", "json"])
def test_w2_any_key_is_data(format_: str) -> None:
    """Keys that mean something elsewhere, and our own words, are kept like any other."""
    web = Web(SESSION_SERIALIZATION_FORMAT=format_)
    names = [
        "__class__",
        "_id",
        "$set",
        "a.b",
        "",
        "payload",
        "created_at",
        "meta",
        "\x00",
        "__proto__",
        " t",
        " di",
        "__ext__",
    ]
    values = {name: {name: [name]} for name in names}
    web.do(lambda: session.update(values))
    assert web.data() == values


def test_w2_ten_thousand_keys(web: Web) -> None:
    """A session with ten thousand keys is kept whole."""
    values = {f"key{number}": number for number in range(10_000)}
    web.do(lambda: session.update(values))
    web.put(key0="changed")
    assert web.data() == {**values, "key0": "changed"}
