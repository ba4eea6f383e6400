"""Unsupported values are refused by name."""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Any

import pytest
from codec.samples import every_codec
from markupsafe import Markup
from werkzeug.local import LocalProxy

from holdfast.errors import EncodeError
from holdfast.records.codec import MAX_DEPTH, Codec


class Plain(enum.Enum):
    A = 1


@dataclasses.dataclass
class Record:
    a: int = 1


class Thing:
    pass


class Alike(str):
    """Text that no dict takes for the text it is."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return self is other


class Broken:
    def __html__(self) -> str:
        raise RuntimeError("no request")


class Nowhere(tzinfo):
    def utcoffset(self, _: datetime | None, /) -> timedelta | None:
        return None

    def dst(self, _: datetime | None, /) -> timedelta | None:
        return None

    def tzname(self, _: datetime | None, /) -> str | None:
        return None


class Stamp(datetime):
    pass


class Missing(datetime):
    """Stands for `pandas.NaT`, a datetime that is none."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = datetime.__hash__


Missing.__module__ = "pandas"


class Unfinished(Nowhere):
    def utcoffset(self, _: datetime | None, /) -> timedelta | None:
        raise NotImplementedError


class NoArray:
    """Stands for an array of a library that must not be needed here."""


NoArray.__module__ = "numpy"


def cycle() -> list[Any]:
    loop: list[Any] = [1]
    loop.append({"again": (loop,)})
    return loop


def numbers() -> Iterator[int]:
    yield 1


REFUSED = [
    (Thing(), "", "keep an id"),
    (object(), "", "type object"),
    (Thing, "", "type type"),
    (Markup, "", "type type"),
    (Plain.A, "", ".value"),
    (Record(), "", "dataclasses.asdict"),
    (NoArray(), "", ".tolist()"),
    (numbers(), "", "list()"),
    (iter([1]), "", "list()"),
    (itertools.chain([1]), "", "list()"),
    (bytearray(b"a"), "", "bytes()"),
    (memoryview(b"a"), "", "bytes()"),
    (1 + 2j, "", "complex"),
    (range(3), "", "range"),
    (Broken(), "", "RuntimeError"),
    (datetime(2026, 1, 1, tzinfo=Nowhere()), "", "offset"),
    (Stamp(2026, 1, 1, tzinfo=Nowhere()), "", "offset"),
    (time(3, tzinfo=timezone(timedelta(microseconds=-1))), "", "less than a second"),
    (datetime(2026, 1, 1, tzinfo=Unfinished()), "", "NotImplementedError"),
    (time(3, tzinfo=Nowhere()), "", "offset"),
    (cycle(), "[1]", "contains itself"),
    ([0, {"price": [Thing()]}], "[1]['price'][0]", "Thing"),
    ([[], (1, {"b": Plain.A})], "[1][1]['b']", "Plain"),
    ({1: {(2, 3): bytearray()}}, "[1][(2, 3)]", "bytearray"),
    ({Plain.A: 1}, "", "a key that is of the type"),
    ({(1, Plain.A): 1}, "", "a key that is of the type"),
    ([{Plain.A}], "[0]", "an item that is of the type"),
    ({Alike("a"): 1, "a": 2}, "", "a key that is of the type"),
    (Alike("a"), "", "does not equal the str in it"),
    (Missing(2026, 1, 1), "", "does not equal the datetime in it: keep its .to_pydatetime()"),
    ({"a": {Alike("a"), "a"}}, "['a']", "an item that is of the type"),
    ({float("nan"), float("nan")}, "", "two items"),
    ({float("nan"): 1, float("nan"): 2}, "", "two keys"),
    ({"k" * 100: Thing()}, "['" + "k" * 58 + "…]", "Thing"),
]


@every_codec
@pytest.mark.parametrize(("value", "path", "problem"), REFUSED)
def test_what_cannot_be_kept_is_named(codec: Codec, value: Any, path: str, problem: str) -> None:
    """A value that cannot be kept is a TypeError that names it by its path and says what to do."""
    with pytest.raises(EncodeError) as caught:
        codec.dumps({"fine": 1, "bad": value})
    assert isinstance(caught.value, TypeError)
    assert caught.value.path == "session['bad']" + path
    assert str(caught.value).startswith(caught.value.path + " ")
    assert problem in str(caught.value)


@every_codec
def test_a_proxy_is_not_looked_through(codec: Codec) -> None:
    """A proxy such as Flask-Login's ``current_user`` is refused as the object it is, even when it stands for text."""
    with pytest.raises(EncodeError, match=r"LocalProxy, which a session cannot keep: keep an id"):
        codec.dumps({"user": LocalProxy(lambda: "text")})
    with pytest.raises(EncodeError, match=r"LocalProxy and fails when it is read, with RuntimeError"):
        codec.dumps({"user": LocalProxy(ContextVar("user"))})


@every_codec
def test_the_cause_of_a_failure_is_kept(codec: Codec) -> None:
    """An error of the application's own code, raised while its value is read, is the cause of ours."""
    with pytest.raises(EncodeError) as caught:
        codec.dumps({"a": Broken()})
    assert isinstance(caught.value.__cause__, RuntimeError)


# --- depth ------------------------------------------------------------------------------------------------------------

WRAPS: dict[str, Callable[[Any], Any]] = {
    "list": lambda inner: [inner],
    "dict": lambda inner: {"a": inner},
    "tuple": lambda inner: (inner,),
    "int keys": lambda inner: {1: inner},
    "frozenset": lambda inner: frozenset([inner]),
    "wide": lambda inner: [*([] for _ in range(40)), inner],
    "with flat tuples": lambda inner: [*((n,) for n in range(40)), inner],
}


def nested(wrap: str, depth: int) -> dict[str, Any]:
    """Return a session of exactly *depth* levels, itself included."""
    value: Any = ()
    for _ in range(depth - 2):
        value = WRAPS[wrap](value)
    return {"a": value}


@every_codec
@pytest.mark.parametrize("wrap", WRAPS)
def test_the_deepest_that_is_kept(codec: Codec, wrap: str) -> None:
    """128 levels, the session included, are kept; one more is refused, of whatever it is made."""
    data = nested(wrap, MAX_DEPTH)
    assert codec.loads(codec.dumps(data)) == data
    with pytest.raises(EncodeError, match="levels deep"):
        codec.dumps(nested(wrap, MAX_DEPTH + 1))


@every_codec
def test_keys_count_too(codec: Codec) -> None:
    """A key is as deep as what it belongs to, and then as deep as it is itself."""
    data: Any = {nested("tuple", 65)["a"]: 1}
    for _ in range(62):
        data = [data]
    assert codec.loads(codec.dumps({"a": data})) == {"a": data}
    with pytest.raises(EncodeError, match="a key that is nested"):
        codec.dumps({"a": [data]})


@every_codec
@pytest.mark.parametrize("depth", [MAX_DEPTH, 200, 5_000, 100_000])
def test_no_depth_exhausts_the_stack(codec: Codec, depth: int) -> None:
    """However deep a value is, it is refused in the same way, at the top, in a key and among many others."""
    deep: Any = 1
    for _ in range(depth):
        deep = (deep,) if depth <= 200 else [deep]
    keyed = {deep: 1} if depth <= 200 else [deep]
    for data in ({"a": deep}, {"a": [deep]}, {"a": keyed}, {"a": [*range(1000), *([] for _ in range(50)), deep]}):
        with pytest.raises(EncodeError):
            codec.dumps(data)
