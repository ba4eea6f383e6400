"""Values that sessions hold, and the codecs that hold them."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st
from markupsafe import Markup

from holdfast.records.codec import JSON, Codec
from holdfast.records.codec.formats import Msgpack, MsgpackCodec, Ormsgpack

# Both libraries for msgpack, whichever this interpreter's sessions are written with. No ormsgpack for Python 3.10 may
# read hostile bytes.
CODECS: list[Codec] = [MsgpackCodec(Msgpack()), JSON]
if sys.version_info >= (3, 11):
    CODECS.append(MsgpackCodec(Ormsgpack()))


def named(codec: Codec) -> str:
    """Return the name of the codec and of the library under it."""
    return f"{codec.name} by {type(codec.packer).__name__}" if isinstance(codec, MsgpackCodec) else codec.name


every_codec = pytest.mark.parametrize("codec", CODECS, ids=named)
BERLIN = ZoneInfo("Europe/Berlin")
NEAR_THE_START = datetime(2, 1, 1)  # noqa: DTZ001  # a bound
NEAR_THE_END = datetime(9998, 1, 1)  # noqa: DTZ001  # a bound


def portrait(value: Any) -> Any:
    """Return a key that distinguishes *value* from every other, including its type, order, sign, fold and zone."""
    cls = type(value)
    if cls in {list, tuple}:
        return cls, [portrait(item) for item in value]
    if cls in {set, frozenset}:
        return cls, sorted(repr(portrait(item)) for item in value)
    if cls is dict:
        return cls, [(portrait(key), portrait(item)) for key, item in value.items()]
    if isinstance(value, (datetime, time)):
        return cls, value.isoformat(), value.fold, repr(value.tzinfo)
    return cls, hex(value) if cls is int else repr(value)


def text() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def zones() -> st.SearchStrategy[tzinfo]:
    # Python reads only UTC if an offset is below a second.
    offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).filter(
        lambda it: abs(it) >= timedelta(seconds=1)
    )
    fixed = st.builds(timezone, offsets) | st.just(timezone.utc)
    named_fixed = st.builds(timezone, offsets, text())
    return fixed | named_fixed | st.sampled_from([BERLIN, ZoneInfo("UTC"), ZoneInfo("America/New_York")])


def with_fold(stamps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda stamp, fold: stamp.replace(fold=fold), stamps, st.integers(0, 1))


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.sampled_from([-(2**63) - 1, -(2**63), 2**63, 2**64 - 1, 2**64]),
    st.floats(),
    text(),
    st.binary(max_size=8),
    text().map(Markup),
    st.uuids(),
    st.decimals(),
    st.decimals().map(lambda number: number.scaleb(3) if number.is_finite() else number),
    with_fold(st.datetimes()),
    # A datetime whose offset reaches beyond the calendar cannot be compared.
    with_fold(st.datetimes(NEAR_THE_START, NEAR_THE_END, timezones=zones())),
    st.dates(),
    with_fold(st.times()),
    with_fold(st.times(timezones=st.just(BERLIN) | st.builds(timezone, st.just(timedelta(hours=2))))),
    st.timedeltas(),
)


def hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


KEYS = st.recursive(LEAVES.filter(hashable), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4).filter(
    hashable
)


def distinct(items: list[Any]) -> list[Any]:
    """Return *items* without a second NaN: two are kept as one, and so refused."""
    return list({repr(portrait(item)): item for item in items}.values())


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(KEYS, max_size=4).map(lambda items: set(distinct(items))),
        st.lists(KEYS, max_size=4).map(lambda items: frozenset(distinct(items))),
        st.dictionaries(text() | st.sampled_from(["$set", "$tuple", "$", "$new"]), inner, max_size=4),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: {key: dict(pairs)[key] for key in distinct(list(dict(pairs)))}
        ),
    ),
    max_leaves=12,
)
SESSIONS = st.dictionaries(text() | KEYS, VALUES, max_size=5).map(
    lambda data: {key: data[key] for key in distinct(list(data))}
)

GOLDEN: dict[str, Any] = {
    "plain": [None, True, -1, 2**63, 1.5, -0.0, "é"],
    "tuple": (1, ("a",)),
    "sets": [{3, 1, 2}, frozenset({"b", "a"})],
    "keys": {1: "one", (2, None): b"\x00\xff"},
    "$set": {"$set": 1},
    "big": [2**64, -(2**70)],
    "odd": [float("inf"), float("-inf")],
    "html": Markup("<b>"),
    "id": UUID(int=255),
    "price": Decimal("12.50"),
    "when": [
        datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
        datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001  # naive ones are kept too
        datetime(2026, 1, 2, tzinfo=timezone.utc),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1), "CET")),
        date(2026, 1, 2),
        time(3, 4, tzinfo=BERLIN),
        timedelta(days=-1, microseconds=5),
    ],
}
GOLDEN_JSON = (
    '{"plain":[null,true,-1,9223372036854775808,1.5,-0.0,"é"],"tuple":{"$tuple":[1,{"$tuple":["a"]}]},'
    '"sets":[{"$set":[1,2,3]},{"$frozenset":["a","b"]}],'
    '"keys":{"$dict":[[1,"one"],[{"$tuple":[2,null]},{"$bytes":"AP8="}]]},'
    '"$set":{"$dict":[["$set",1]]},"big":[{"$int":"0x10000000000000000"},{"$int":"-0x400000000000000000"}],'
    '"odd":[{"$float":"inf"},{"$float":"-inf"}],"html":{"$markup":"<b>"},'
    '"id":{"$uuid":"00000000-0000-0000-0000-0000000000ff"},"price":{"$decimal":"12.50"},'
    '"when":[{"$datetime":"2026-10-25T02:30:00+01:00~[Europe/Berlin]"},{"$datetime":"2026-01-02T03:04:05.000006"},'
    '{"$datetime":"2026-01-02T00:00:00+00:00"},{"$datetime":"2026-01-02T00:00:00+01:00(CET)"},{"$date":"2026-01-02"},'
    '{"$time":"03:04:00[Europe/Berlin]"},{"$timedelta":[-1,0,5]}]}'
)
GOLDEN_MSGPACK = (
    "8ba5706c61696e97c0c3ffcf8000000000000000cb3ff8000000000000cb8000000000000000a2c3a9a57475706c65d70192"
    "01c7030191a161a47365747392d60293010203c7050392a161a162a46b657973c71204929201a36f6e6592c703019202c0c4"
    "0200ffa42473657481a42473657401a362696792c7130530783130303030303030303030303030303030c715052d30783430"
    "30303030303030303030303030303030a36f646492cb7ff0000000000000cbfff0000000000000a468746d6cc703083c623e"
    "a26964c7240930303030303030302d303030302d303030302d303030302d303030303030303030306666a57072696365c705"
    "0a31322e3530a47768656e97c7290b323032362d31302d32355430323a33303a30302b30313a30307e5b4575726f70652f42"
    "65726c696e5dc71a0b323032362d30312d30325430333a30343a30352e303030303036c7190b323032362d30312d30325430"
    "303a30303a30302b30303a3030c71e0b323032362d30312d30325430303a30303a30302b30313a30302843455429c70a0c32"
    "3032362d30312d3032c7170d30333a30343a30305b4575726f70652f4265726c696e5dd60e93ff0005"
)
