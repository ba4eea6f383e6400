"""Supported values are returned unchanged."""

from __future__ import annotations

import copy
import enum
import json
import os
import subprocess
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from codec.samples import (
    BERLIN,
    CODECS,
    GOLDEN,
    GOLDEN_JSON,
    GOLDEN_MSGPACK,
    SESSIONS,
    every_codec,
    portrait,
)
from hypothesis import given
from markupsafe import Markup

from holdfast.errors import EncodeError
from holdfast.records.codec import JSON, Codec
from holdfast.records.codec.type_codecs import STORED, TYPE_CODECS, StoredValue, TypeCodec, UnknownZone


@every_codec
@given(data=SESSIONS)
def test_what_goes_in_comes_out(codec: Codec, data: dict[Any, Any]) -> None:
    """A session comes back with every value, type, order, sign, fold and zone, and encodes to the same bytes again."""
    payload = codec.dumps(data)
    back = codec.loads(payload)
    assert portrait(back) == portrait(data)
    assert codec.dumps(back) == payload


@given(data=SESSIONS)
def test_both_msgpack_libraries_write_the_same_bytes(data: dict[Any, Any]) -> None:
    """ormsgpack, which writes most values by itself, and msgpack, given only plain ones, agree on every byte."""
    assert len({codec.dumps(data) for codec in CODECS if codec is not JSON}) == 1


@every_codec
def test_the_stored_form_does_not_change(codec: Codec) -> None:
    """Every later release reads the records of this one: the bytes of one value of each kind do not change."""
    expected = GOLDEN_JSON.encode() if codec is JSON else bytes.fromhex(GOLDEN_MSGPACK)
    assert codec.dumps(GOLDEN) == expected


@every_codec
def test_the_stored_form_is_read(codec: Codec) -> None:
    """The bytes that stay as they are mean what they meant."""
    stored = GOLDEN_JSON.encode() if codec is JSON else bytes.fromhex(GOLDEN_MSGPACK)
    assert portrait(codec.loads(stored)) == portrait(GOLDEN)


def test_plain_data_is_plain_json() -> None:
    """A session of plain values is ordinary JSON, which other programs read."""
    data = {"user": "42", "cart": [{"sku": "é", "qty": 2, "price": 9.5}], "seen": None, "": {"a.b": True}}
    assert json.loads(JSON.dumps(data)) == data


@pytest.mark.parametrize("name", ["JSON", "MSGPACK"])
def test_bytes_do_not_depend_on_the_process(name: str) -> None:
    """Sets are written alike whatever order a process has them in, so an unchanged session is not written again."""
    code = (
        f"from holdfast.records.codec import {name} as codec\n"
        "data = {'tags': {'red', 'green', 'blue', b'x', None, 1.5, ('a', 1)}, 'f': frozenset('abcdef')}\n"
        "print(codec.dumps(data).hex(), codec.dumps(codec.loads(codec.dumps(data))).hex())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout.split()
        for seed in ("0", "1", "2")
    ]
    assert len({payload for payloads in printed for payload in payloads}) == 1


@every_codec
@pytest.mark.parametrize(
    "key", ["__class__", "_id", "$set", "$tuple", "$", "a.b", "", "payload", "created_at", "é" * 300]
)
def test_every_key_is_only_data(codec: Codec, key: str) -> None:
    """No key means anything to Holdfast, alone or among others, at the top or below."""
    for data in ({key: 1}, {key: 1, "b": 2}, {"a": {key: {key: [1]}}}, {"a": [{key: 1, 2: 3}]}):
        assert codec.loads(codec.dumps(data)) == data


@every_codec
def test_an_int_too_long_to_print(codec: Codec) -> None:
    """An int of more digits than Python prints is kept, as a value and as a key, and a path can lead through it."""
    data = {"a": 10**5000, 10**5000: [-(10**5000)]}
    assert codec.loads(codec.dumps(data)) == data
    with pytest.raises(EncodeError, match=r"session\[<int>\] is of the type object"):
        codec.dumps({10**5000: object()})


@every_codec
def test_many_keys(codec: Codec) -> None:
    """Ten thousand keys come back in their order."""
    data = {f"key {n}": n for n in range(10_000)}
    assert list(codec.loads(codec.dumps(data)).items()) == list(data.items())


# --- kept as something simpler ----------------------------------------------------------------------------------------


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Raw(bytes):
    pass


class Row(list[Any]):
    pass


class Level(enum.IntEnum):
    HIGH = 3


class Color(str, enum.Enum):  # as applications wrote it before enum.StrEnum
    RED = "red"


class Stamp(datetime):
    pass


class Lazy:
    """A translation that waits for its request, as Flask-Babel's."""

    def __init__(self, result: str) -> None:
        self.result = result

    def __str__(self) -> str:
        return self.result

    def __html__(self) -> str:
        return self.result


class SafeText(str):
    __slots__ = ()

    def __html__(self) -> str:
        return f"<i>{self}</i>"


class Point(NamedTuple):
    x: int
    y: int


def ordered() -> OrderedDict[str, int]:
    data = OrderedDict(a=1, b=2)
    data.move_to_end("a")
    return data


SIMPLER = [
    (Text("a"), "a"),
    (Text("é"), "é"),
    (Number(5), 5),
    (Number(2**70), 2**70),
    (Real(1.5), 1.5),
    (Real("inf"), float("inf")),
    (Raw(b"a"), b"a"),
    (Row([1, (2,)]), [1, (2,)]),
    (Level.HIGH, 3),
    (Color.RED, "red"),
    (defaultdict(list, {"a": [1]}), {"a": [1]}),
    (ordered(), {"b": 2, "a": 1}),
    (Point(1, 2), (1, 2)),
    (Stamp(2026, 1, 2, tzinfo=BERLIN), datetime(2026, 1, 2, tzinfo=BERLIN)),
    (Lazy("<b>"), Markup("<b>")),
    (SafeText("a"), Markup("<i>a</i>")),
    ({Text("a"): Level.HIGH}, {"a": 3}),
    ({Level.HIGH: Text("a")}, {3: "a"}),
    ({Markup("a"): 1}, {Markup("a"): 1}),
    ({Point(1, 2): {Level.HIGH}}, {(1, 2): {3}}),
]


@every_codec
@pytest.mark.parametrize(("value", "kept"), SIMPLER, ids=[type(value).__name__ for value, _ in SIMPLER])
def test_subclasses_are_kept_as_their_base(codec: Codec, value: Any, kept: Any) -> None:
    """A subclass comes back as its base type, and what has ``__html__`` as Markup: as with Flask's cookie sessions."""
    places: list[Callable[[Any], Any]] = [lambda it: it, lambda it: [it], lambda it: (it,), lambda it: {1: it}]
    for place in places:
        back = codec.loads(codec.dumps({"a": place(value)}))
        assert portrait(back) == portrait({"a": place(kept)})


@every_codec
def test_any_mapping_is_a_session(codec: Codec) -> None:
    """The session itself may be any mapping, such as Flask's own session object."""
    assert codec.dumps(defaultdict(int, a=1)) == codec.dumps({"a": 1})


class Elsewhere(tzinfo):
    """A zone of another library."""

    def utcoffset(self, _: datetime | None, /) -> timedelta | None:
        return timedelta(hours=3)

    def dst(self, _: datetime | None, /) -> timedelta | None:
        return None

    def tzname(self, _: datetime | None, /) -> str:
        return "Elsewhere"


@every_codec
def test_a_zone_of_another_library_is_kept_as_its_offset(codec: Codec) -> None:
    """A datetime whose zone has no name in the database comes back at the same instant, with a fixed offset."""
    when = datetime(2026, 1, 2, 3, tzinfo=Elsewhere())
    back = codec.loads(codec.dumps({"a": when}))["a"]
    assert back == when
    assert back.tzinfo == timezone(timedelta(hours=3))


@every_codec
@pytest.mark.parametrize("zone", ["Atlantis/Capital", "Europe", "Europe/Berlin"])
def test_a_zone_unknown_here_loses_nothing(codec: Codec, zone: str) -> None:
    """A zone that this machine lacks, or dates differently, comes back with its offset and goes out under its name."""
    here = datetime(2026, 1, 2, 3, tzinfo=UnknownZone(zone, timedelta(hours=7)))
    clock = time(3, tzinfo=UnknownZone("Atlantis/Capital", None))
    payload = codec.dumps({"a": here, "b": clock})
    back = codec.loads(payload)
    assert back["a"] == here
    assert back["a"].tzname() == zone
    assert back["a"].dst() is None
    assert back["b"].replace(tzinfo=None) == time(3)
    assert codec.dumps(copy.deepcopy(back)) == payload
    assert repr(back["a"].tzinfo) == f"UnknownZone({zone!r}, {timedelta(hours=7)!r})"


TYPICAL: list[Any] = [
    *(1, 1.5, b"a", (1,), {1}, frozenset({1}), {1: 2}, Markup("a"), UUID(int=1), Decimal("1.0")),
    *(datetime(2026, 1, 2, tzinfo=timezone.utc), date(2026, 1, 2), time(3), timedelta(1)),
    *("\ud800", StoredValue("path", "/srv")),
]


def test_marks_are_unique() -> None:
    """No two kinds share a code, a name or a type, and the codes are an application's to use."""
    for marks in (
        [codec.code for codec in TYPE_CODECS],
        [codec.name for codec in TYPE_CODECS],
        [codec.type for codec in TYPE_CODECS],
    ):
        assert len(set(marks)) == len(TYPE_CODECS)
    assert all(0 < codec.code < 128 for codec in TYPE_CODECS)


@pytest.mark.parametrize("codec", TYPE_CODECS, ids=[codec.name for codec in TYPE_CODECS])
def test_a_plain_form_is_enough(codec: TypeCodec) -> None:
    """Each type codec reads a value back from its plain form."""
    value = next(value for value in TYPICAL if type(value) is codec.type)
    plain = codec.to_plain(value)
    assert type(plain) is (str if codec.is_text else list)
    assert codec.to_plain(codec.from_plain(plain)) == plain


def test_the_page_names_every_kind() -> None:
    """The page about values lists every type that is kept."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "values.md").read_text()
    assert [
        codec.type.__name__ for codec in TYPE_CODECS if codec is not STORED and f"`{codec.type.__name__}`" not in page
    ] == []


@every_codec
@pytest.mark.parametrize(
    "value", ["\ud800", "caf\xe9\udce9.txt", "\ud83d\ude00", Markup("\udfff"), {"\ud800": ["\ud801"]}]
)
def test_text_that_is_not_utf8_is_kept(codec: Codec, value: Any) -> None:
    """Text with halves of surrogate pairs is kept as it is, as a value, as a key and as Markup."""
    back = codec.loads(codec.dumps({"a": value}))["a"]
    assert (back, type(back)) == (value, type(value))
