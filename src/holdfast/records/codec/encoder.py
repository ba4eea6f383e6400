"""Turns session values into what a format can write, or names the value that cannot be stored."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from math import isfinite
from operator import itemgetter
from typing import Any

from markupsafe import Markup

from holdfast.errors import EncodeError
from holdfast.records.codec import registry, type_codecs
from holdfast.records.codec.type_codecs import StoredValue, TypeCodec, UnsupportedValue

#: How deep containers may be nested; the session itself is the outermost.
MAX_DEPTH = 128

CONTAINERS: frozenset[type] = frozenset({list, dict, tuple, set, frozenset})

_ONLY_TEXT = frozenset({str})
_LEAST, _MOST = -(2**63), 2**64 - 1
_KEY_SHOWN = 60


class Encoder:
    """Turns values into the plain values that one format can write.

    Args:
        native: The types that the format writes itself, besides those of every format: str, lists, dicts with text
            keys, ints up to 64 bits and finite floats.
        mark: Returns a plain form with the mark of its `TypeCodec`, ready to be written.
        write: Returns the text or bytes of a plain value. Sets are compared and sorted by it.
        tags: Whether the format writes a mark as a dict with one key that begins with a dollar sign.
        hashed: Whether it is for items of sets and keys, which are read as what they were: JSON's form is no such.
    """

    def __init__(
        self,
        *,
        native: frozenset[type],
        mark: Callable[[TypeCodec, Any], Any],
        write: Callable[[Any], str | bytes],
        tags: bool,
        hashed: bool = False,
    ) -> None:
        self._native = native
        self._mark = mark
        self._write = write
        self._tags = tags
        self._hashed = self if hashed else Encoder(native=native, mark=mark, write=write, tags=tags, hashed=True)
        branches = CONTAINERS | {StoredValue}
        leaves = {cls: partial(self._leaf, codec) for cls, codec in type_codecs.BY_TYPE.items() if cls not in branches}
        self._leaves: dict[type, Callable[[Any], Any]] = {**leaves, str: self._text, float: self._float}

    def encode_session(self, data: Mapping[Any, Any]) -> Any:
        """Return *data* as a plain value; an `EncodeError` begins with the path of what cannot be stored."""
        try:
            return self.encode(data)
        except UnsupportedValue as error:
            raise EncodeError("session" + "".join(reversed(error.steps)), error.problem) from error.__cause__

    def encode(self, value: Any, room: int = MAX_DEPTH) -> Any:
        """Return *value* as a plain value; *room* is how many levels of containers it may have, itself included."""
        cls = type(value)
        if cls in self._native or (cls is str and value.isascii()) or (cls is int and _LEAST <= value <= _MOST):
            return value
        leaf = self._leaves.get(cls)
        if leaf is not None:
            return leaf(value)
        if cls in CONTAINERS:
            return self._container(value, room)
        if cls is StoredValue:
            return self._mark(type_codecs.STORED, [value.name, self.encode(value.plain, room - 1)])
        return self.encode(self._supported(value), room)

    def _supported(self, value: Any) -> Any:
        """Return *value* as a type that can be stored: a registered one, its base type, or what JSON makes of it."""
        try:
            stored = registry.stored_form(value)
            if stored is not None:
                return stored
            base = next((cls for cls in type(value).__mro__ if cls in _BASES), None)
            kept = _based(value, base)
            if kept is not _NOTHING:
                return kept
        except UnsupportedValue:
            raise
        except Exception as error:
            raise _unreadable(value, error) from error
        if registry.json_form is not None and self._hashed is not self and (base is None or base in CONTAINERS):
            with contextlib.suppress(Exception):  # JSON has no form for it either
                return registry.json_form(value)
        reason = "which a session cannot keep" if base is None else f"and does not equal the {base.__name__} in it"
        raise UnsupportedValue(f"is of the type {_type_name(value)}, {reason}: {_advice(value)}")

    def _leaf(self, codec: TypeCodec, value: Any) -> Any:
        try:
            plain = codec.to_plain(value)
        except UnsupportedValue:
            raise
        except Exception as error:
            raise _unreadable(value, error) from error
        return self._mark(codec, plain)

    def _float(self, value: float) -> Any:
        return value if isfinite(value) else self._leaf(type_codecs.FLOAT, value)

    def _text(self, value: str) -> Any:
        try:
            value.encode()
        except UnicodeEncodeError:
            return self._mark(type_codecs.TEXT, value)
        return value

    def _container(self, value: Any, room: int) -> Any:
        if room == 0:
            raise UnsupportedValue(f"is nested more than {MAX_DEPTH} levels deep: keep it flatter", value)
        if type(value) is dict:
            return self._dict(value, room - 1)
        if isinstance(value, (list, tuple)):
            items = self._each(value, value, room - 1, "[{}]".format)
            return items if isinstance(value, list) else self._mark(type_codecs.BY_TYPE[tuple], items)
        return self._mark(type_codecs.BY_TYPE[type(value)], self._unordered(value, room - 1))

    def _each(self, container: Any, values: Iterable[Any], room: int, step: Callable[[int], str]) -> list[Any]:
        """Return *values* as plain values; *step* returns the path of the n-th, for error messages."""
        items: list[Any] = []
        try:
            for value in values:
                items.append(self.encode(value, room))  # noqa: PERF401  # the length shows which of them failed
        except UnsupportedValue as error:
            error.inside(container, step(len(items)))
            raise
        return items

    def _unordered(self, value: set[Any] | frozenset[Any], room: int) -> list[Any]:
        try:
            items = [self._hashed.encode(item, room) for item in value]
        except UnsupportedValue as error:
            error.among("an item")
            raise
        written = self._distinct(items, "items")
        return [item for _, item in sorted(zip(written, items, strict=True), key=itemgetter(0))]

    def _dict(self, value: dict[Any, Any], room: int) -> Any:
        try:
            keys = [key if type(key) is str and key.isascii() else self._hashed.encode(key, room) for key in value]
        except UnsupportedValue as error:
            error.among("a key")
            raise
        items = self._each(value, value.values(), room, lambda n: f"[{_shown(list(value)[n])}]")
        named = dict(zip(keys, items, strict=True)) if _ONLY_TEXT.issuperset(map(type, keys)) else None
        if named is None or len(named) < len(keys) or (self._tags and is_mark(named)):
            self._distinct(keys, "keys")
            return self._mark(type_codecs.DICT, [list(pair) for pair in zip(keys, items, strict=True)])
        return named

    def _distinct(self, items: list[Any], what: str) -> list[str | bytes]:
        written = [self._write(item) for item in items]
        if len(set(written)) < len(written):
            raise UnsupportedValue(f"has two {what} that are kept as the same value: keep one of them")
        return written


def is_mark(named: Mapping[str, Any]) -> bool:
    """Return whether *named* has the shape of a type mark in JSON, also of a type that does not exist."""
    return len(named) == 1 and next(iter(named)).startswith("$")


def _rebuilt(codec: TypeCodec, value: Any) -> Any:
    return codec.from_plain(codec.to_plain(value))


# A subclass is stored as its base. Containers come before `__html__`, as in Flask's own serializer.
_BASES: dict[type, Callable[[Any], Any]] = {
    **{cls: partial(_rebuilt, codec) for cls, codec in type_codecs.BY_TYPE.items()},
    dict: dict,
    list: list,
    str: str.__str__,
}
_BEFORE_HTML = CONTAINERS | {bytes}
_NOTHING: Any = object()


def _based(value: Any, base: type | None) -> Any:
    """Return *value* as its *base* type, if that equals it, or as Markup if it has ``__html__``, or `_NOTHING`."""
    if base not in _BEFORE_HTML:
        html = None if isinstance(value, type) else getattr(value, "__html__", None)
        if callable(html):
            return Markup(str(html()))  # noqa: S704  # `__html__` returns safe markup by convention
    kept = _NOTHING if base is None else _BASES[base](value)
    is_same = base and (kept == value or kept != kept)  # noqa: PLR0124  # no NaN equals itself
    return kept if is_same else _NOTHING


def _unreadable(value: Any, error: Exception) -> UnsupportedValue:
    return UnsupportedValue(
        f"is of the type {_type_name(value)} and fails when it is read, with {type(error).__name__}"
    )


#: Advice about values of a library, by the first part of its name.
_ADVICE = {
    "numpy": "keep its .item() or its .tolist()",
    "pandas": "keep its .to_pydatetime() or its .isoformat(), and None for a missing time",
}


def _advice(value: Any) -> str:
    module = type(value).__module__.partition(".")[0]
    if isinstance(value, Enum):
        return "keep its .value or its .name"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "keep dataclasses.asdict() of it"
    if isinstance(value, Iterator) and module in {"builtins", "itertools"}:
        return "keep list() of it"
    if isinstance(value, (bytearray, memoryview)):
        return "keep bytes() of it"
    return _ADVICE.get(module, "keep an id, or plain values, instead, or register its type with holdfast.register_type")


def _type_name(value: Any) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _shown(key: Any) -> str:
    try:
        shown = repr(key)
    except Exception:  # noqa: BLE001  # building an error message must not fail itself
        shown = f"<{_type_name(key)}>"
    return shown if len(shown) <= _KEY_SHOWN else f"{shown[: _KEY_SHOWN - 1]}…"
