"""The types that an application registers, and what a front end's JSON makes of all others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from codec.samples import every_codec
from support import seams

import holdfast
from holdfast.errors import ConfigurationError, DecodeError, EncodeError
from holdfast.records.codec import Codec
from holdfast.records.codec.registry import register_type


@dataclass(frozen=True)
class Money:
    """A value of an application's own type."""

    amount: int
    currency: str = "EUR"

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Money:
        """Return the value of a plain form."""
        return cls(**plain)


@dataclass(frozen=True)
class Amounts:
    """A value with any parts."""

    amounts: tuple[Any, ...]


class Opaque:
    """A class without `==`."""


class Vector:
    """Numbers that compare item by item, as a NumPy array does: the answer is neither true nor false."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def __eq__(self, other: object) -> Any:
        return Vector([])

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with no registered type."""
    for table in (seams.REGISTERED_BY_TYPE, seams.REGISTERED_BY_NAME):
        table.plant(monkeypatch, {})


def register_money() -> None:
    """Register `Money`."""
    register_type("money", Money, to_plain=asdict, from_plain=Money.of)


@every_codec
def test_a_registered_type_is_kept(codec: Codec) -> None:
    """Its values and those of its subclasses come back, in lists and dicts, in sets, as keys, and inside each other."""
    register_money()
    holdfast.register_type("path", PurePosixPath, to_plain=str, from_plain=PurePosixPath)

    class Price(Money):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Money) and asdict(self) == asdict(other)

        __hash__ = Money.__hash__

    data = {
        "a": [Money(1), {"b": PurePosixPath("/srv")}],
        "set": {Money(2), Money(3)},
        "keyed": {Money(4): (Money(5, "CHF"),)},
    }
    payload = codec.dumps(data)
    assert codec.loads(payload) == data
    assert codec.dumps(codec.loads(payload)) == payload
    assert codec.loads(codec.dumps({"a": Price(6)})) == {"a": Money(6)}


@every_codec
def test_a_plain_form_may_hold_what_a_session_holds(codec: Codec) -> None:
    """A moment, a tuple, a set and another registered type come back from a plain form as they went in."""
    register_money()
    register_type("amounts", Amounts, to_plain=attrgetter("amounts"), from_plain=Amounts)
    data = {"a": [Amounts((datetime(2027, 1, 31, tzinfo=timezone.utc), (1, 2), {"b": {3, 4}, "c": Money(5)}))]}
    payload = codec.dumps(data)
    assert codec.loads(payload) == data
    assert codec.dumps(codec.loads(payload)) == payload
    with pytest.raises(EncodeError, match=r"session\['a'\]"):
        codec.dumps({"a": Amounts((Opaque(),))})


@every_codec
def test_a_value_that_would_come_back_as_another_is_refused(codec: Codec) -> None:
    """A value is refused by its path if `from_plain` returns another one, or if a function of the type's raises."""
    register_type("money", Money, to_plain=lambda money: money.amount, from_plain=Money)
    assert codec.loads(codec.dumps({"a": Money(1)})) == {"a": Money(1)}
    with pytest.raises(EncodeError, match=r"session\['a'\]\[0\] is of the type 'money', and .* does not equal it"):
        codec.dumps({"a": [Money(1, "CHF")]})
    register_type("opaque", Opaque, to_plain=lambda _: 1 / 0, from_plain=lambda _: Opaque())
    with pytest.raises(EncodeError, match=r"Opaque and fails when it is read, with ZeroDivisionError"):
        codec.dumps({"a": Opaque()})


@every_codec
def test_a_class_without_equality_is_kept(codec: Codec) -> None:
    """A class that does not define `==` cannot be compared, and is kept."""
    register_type("opaque", Opaque, to_plain=lambda _: None, from_plain=lambda _: Opaque())
    assert isinstance(codec.loads(codec.dumps({"a": Opaque()}))["a"], Opaque)


@every_codec
def test_values_that_compare_item_by_item(codec: Codec) -> None:
    """They are kept if what comes back has the same plain form, and refused otherwise."""
    register_type("vector", Vector, to_plain=attrgetter("numbers"), from_plain=Vector)
    assert codec.loads(codec.dumps({"a": Vector([1, 2])}))["a"].numbers == [1, 2]
    register_type("vector", Vector, to_plain=attrgetter("numbers"), from_plain=lambda numbers: Vector(numbers[:1]))
    with pytest.raises(EncodeError, match="does not equal it"):
        codec.dumps({"a": Vector([1, 2])})


@every_codec
def test_a_type_that_is_unknown_here_is_foreign(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without the type, or with another version of it, leaves the session to others."""
    register_money()
    payload = codec.dumps({"a": Money(1)})
    register_type("money", Money, to_plain=asdict, from_plain=lambda plain: Money(plain["missing"]))
    with pytest.raises(DecodeError, match="its from_plain refuses") as refused:
        codec.loads(payload)
    seams.REGISTERED_BY_NAME.plant(monkeypatch, {})
    with pytest.raises(DecodeError, match="not registered") as unknown:
        codec.loads(payload)
    assert (refused.value.foreign, unknown.value.foreign) == (True, True)


@every_codec
def test_a_class_may_grow(codec: Codec) -> None:
    """A stored value is read by a class with a field more, although it would be stored otherwise now."""
    register_money()
    payload = codec.dumps({"a": Money(1)})

    @dataclass
    class Money2:
        amount: int
        currency: str
        note: str = ""
        tags: list[str] = field(default_factory=list)

    Money2.__qualname__, Money2.__module__ = Money.__qualname__, Money.__module__
    register_type("money", Money2, to_plain=asdict, from_plain=lambda plain: Money2(**plain))
    assert codec.loads(payload) == {"a": Money2(1, "EUR")}


def test_what_cannot_be_registered() -> None:
    """A type that sessions hold already, and a name that another class has, are refused."""
    with pytest.raises(ConfigurationError, match="values of dict as they are"):
        register_type("mine", dict, to_plain=list, from_plain=dict)
    register_money()
    with pytest.raises(ConfigurationError, match="'money' is the name of Money: give Opaque another one"):
        register_type("money", Opaque, to_plain=repr, from_plain=lambda _: Opaque())


def as_json(value: Any) -> Any:
    """Return *value* as a JSON provider that knows dataclasses and paths would."""
    return json.loads(
        json.dumps(value, default=lambda other: asdict(other) if isinstance(other, Money) else _path(other))
    )


def _path(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Vector):
        return value.numbers
    raise TypeError("no JSON")


@every_codec
def test_json_keeps_the_others(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of another type is kept as its JSON form, except in sets and as a key, where that would not be read."""
    seams.JSON_FORM.plant(monkeypatch, as_json)
    data = {"a": [Money(1)], "b": Path("/srv"), "c": Vector([1])}
    assert codec.loads(codec.dumps(data)) == {"a": [{"amount": 1, "currency": "EUR"}], "b": "/srv", "c": [1]}
    for refused in ({"a": {Money(1)}}, {"a": {Money(1): 1}}, {"a": {(1, Money(1))}}, {"a": Opaque()}):
        with pytest.raises(EncodeError):
            codec.dumps(refused)
