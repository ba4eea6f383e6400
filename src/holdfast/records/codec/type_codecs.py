"""The table of type codecs: every type beyond plain data that a session can hold, and its encoded form.

Both formats write a value as its plain form with a mark: msgpack's extension type *code*, JSON's ``{"$name": plain}``.
Codes and names are part of the stored format. A released one never changes its meaning.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from markupsafe import Markup


class UnsupportedValue(Exception):
    """A value that a session cannot hold. *problem* continues the sentence that begins with the value's path."""

    def __init__(self, problem: str, culprit: object = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.culprit = culprit
        self.steps: list[str] = []

    def inside(self, container: object, step: str) -> None:
        """Add one *step* to the path: the value is inside *container*."""
        if container is self.culprit:
            self.problem = "contains itself: keep an id instead of the thing"
            self.steps.clear()
        else:
            self.steps.append(step)

    def among(self, what: str) -> None:
        """Drop the path: the value is an item of a set or a key, which has no path."""
        self.problem = f"has {what} that {self.problem}"
        self.steps.clear()


@dataclass(frozen=True, slots=True)
class TypeCodec:
    """The encoding of one type.

    Attributes:
        code: msgpack's extension type.
        name: JSON's tag, without the dollar sign.
        type: The Python type.
        to_plain: Returns the plain form of a value: a text or a list.
        from_plain: Returns the value of a plain form, or raises any exception.
        is_text: Whether the plain form is a text; otherwise it is a list.
    """

    code: int
    name: str
    type: type
    to_plain: Callable[[Any], Any]
    from_plain: Callable[[Any], Any]
    is_text: bool = True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoredValue:
    """A value of a registered type as it is stored: the *name* of its type, and its plain form."""

    name: str
    plain: Any


class UnknownZone(tzinfo):
    """A zone that the time zone database lacks, or has with another offset: the stored name and offset.

    It is written under the zone's name, so a machine that knows the zone reads the zone.
    """

    def __init__(self, key: str, offset: timedelta | None) -> None:
        self.key = key
        self.offset = offset

    def utcoffset(self, _: datetime | None, /) -> timedelta | None:
        """Return the stored offset; None for a time of day."""
        return self.offset

    def dst(self, _: datetime | None, /) -> None:
        """Return None: unknown."""

    def tzname(self, _: datetime | None, /) -> str:
        """Return the zone's name."""
        return self.key

    def __repr__(self) -> str:
        return f"UnknownZone({self.key!r}, {self.offset!r})"

    def __getinitargs__(self) -> tuple[str, timedelta | None]:
        return self.key, self.offset


_ZONE = r"[A-Za-z0-9][A-Za-z0-9_+./-]{0,63}"
_ZONE_KEY = re.compile(_ZONE)
# The ISO text, "~" for the second of two equal clock times, then [Zone/Name] or (name of a fixed offset).
_STAMP = re.compile(rf"([^~\[(]+)(~?)(?:\[({_ZONE})\]|\((.*)\))?", re.DOTALL)
_SECOND = timedelta(seconds=1)


def _zone_key(zone: tzinfo) -> str | None:
    from zoneinfo import ZoneInfo  # most sessions hold no time with a zone, and most start-ups are for those

    key = zone.key if isinstance(zone, (ZoneInfo, UnknownZone)) else None
    return key if key and _ZONE_KEY.fullmatch(key) else None


def _write_stamp(write: Callable[[Any], str], value: datetime | time) -> str:
    text, zone = write(value), value.tzinfo
    if value.fold:
        text += "~"
    if zone is None or zone is timezone.utc:
        return text
    key, offset = _zone_key(zone), value.utcoffset()
    if offset and abs(offset) < _SECOND:
        raise UnsupportedValue(
            "has a time zone less than a second from UTC, which Python does not read again: use another zone"
        )
    if key is not None:
        return f"{text}[{key}]"
    if offset is None:
        raise UnsupportedValue("has a time zone without an offset: use a zoneinfo.ZoneInfo or a datetime.timezone")
    name = zone.tzname(None) if type(zone) is timezone else None
    return text if name in {None, timezone(offset).tzname(None)} else f"{text}({name})"


def _read_stamp(parse: Callable[[str], datetime | time], text: str) -> datetime | time:
    if text[-1] not in "~])":
        return parse(text)
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError("not a time")
    iso, fold, key, name = match.groups()
    value = parse(iso)
    if fold:
        value = value.replace(fold=1)
    if key is not None:
        value = value.replace(tzinfo=_zone(key, value))
    elif name is not None:
        value = value.replace(tzinfo=timezone(value.utcoffset() or timedelta(), name))
    return value


def _zone(key: str, value: datetime | time) -> tzinfo:
    """Return the zone with the name *key* if it gives *value* its stored offset, else an `UnknownZone` that does."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    offset = value.utcoffset()
    if offset is None and isinstance(value, datetime):
        raise ValueError("no offset")
    try:
        zone = ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UnknownZone(key, offset)
    return zone if value.replace(tzinfo=zone).utcoffset() == offset else UnknownZone(key, offset)


def _stamp_codec(code: int, cls: type[datetime | time]) -> TypeCodec:
    write, read = partial(_write_stamp, cls.isoformat), partial(_read_stamp, cls.fromisoformat)
    return TypeCodec(code, cls.__name__, cls, write, read)


DICT = TypeCodec(4, "dict", dict, lambda value: list(map(list, value.items())), dict, is_text=False)
FLOAT = TypeCodec(6, "float", float, float.__repr__, float)

#: Text that UTF-8 has no form for: it holds half of a surrogate pair.
TEXT = TypeCodec(15, "text", str, str, str)
STORED = TypeCodec(
    31, "value", StoredValue, lambda value: [value.name, value.plain], lambda parts: StoredValue(*parts), is_text=False
)

#: A dict is marked when its keys are not all text, an int when it exceeds 64 bits, a float when JSON has no
#: number for it. msgpack writes every float, and bytes, as they are.
TYPE_CODECS: tuple[TypeCodec, ...] = (
    TypeCodec(1, "tuple", tuple, list, tuple, is_text=False),
    TypeCodec(2, "set", set, list, set, is_text=False),
    TypeCodec(3, "frozenset", frozenset, list, frozenset, is_text=False),
    DICT,
    TypeCodec(5, "int", int, hex, partial(int, base=16)),
    FLOAT,
    TypeCodec(7, "bytes", bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    TypeCodec(8, "markup", Markup, str.__str__, Markup),
    TypeCodec(9, "uuid", UUID, UUID.__str__, UUID),
    TypeCodec(10, "decimal", Decimal, Decimal.__str__, Decimal),
    _stamp_codec(11, datetime),
    TypeCodec(12, "date", date, date.isoformat, date.fromisoformat),
    _stamp_codec(13, time),
    TypeCodec(
        14,
        "timedelta",
        timedelta,
        lambda span: [span.days, span.seconds, span.microseconds],
        lambda parts: timedelta(*parts),
        is_text=False,
    ),
    TEXT,
    STORED,
)

BY_TYPE: dict[type, TypeCodec] = {codec.type: codec for codec in TYPE_CODECS}
