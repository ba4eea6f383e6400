"""The types that the application registers, and the JSON that a front end gives to values of all others.

Both belong to the process, as the classes do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.records.codec.type_codecs import BY_TYPE, STORED, StoredValue, UnsupportedValue

T = TypeVar("T")

_KEPT_AS_THEY_ARE = frozenset({*BY_TYPE, type(None), bool, str, list, object})


class _Registered(NamedTuple):
    name: str
    type: type
    to_plain: Callable[[Any], Any]
    from_plain: Callable[[Any], Any]


#: Returns a value of any other type as a front end's JSON would return it, or raises any exception.
json_form: Callable[[Any], Any] | None = None

_by_type: dict[type, _Registered] = {}
_by_name: dict[str, _Registered] = {}


def register_type(name: str, cls: type[T], *, to_plain: Callable[[T], object], from_plain: Callable[[Any], T]) -> None:
    """Let sessions hold values of *cls* and its subclasses, in every application of the process.

    Register a type when the module is imported, in each process that reads the sessions. Where it is not registered, a
    session with such a value is kept, but cannot be read: the request is anonymous.

    Args:
        name: The name of the type in stored sessions. It must not change.
        cls: The class.
        to_plain: Returns a value made of types that a session holds, such as a dict or a text.
        from_plain: Returns the value again. If *cls* defines ``==``, it must equal the one that was stored.

    Raises:
        ConfigurationError: *cls* is a type that sessions hold already, or *name* is that of another class.
    """
    if cls in _KEPT_AS_THEY_ARE:
        raise ConfigurationError(f"register_type: a session holds values of {cls.__qualname__} as they are")
    known = _by_name.get(name)
    if known is not None and (known.type.__module__, known.type.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ConfigurationError(
            f"register_type: {name!r} is the name of {known.type.__qualname__}: give {cls.__qualname__} another one"
        )
    _by_name[name] = _by_type[cls] = _Registered(name, cls, to_plain, from_plain)


def stored_form(value: object) -> StoredValue | None:
    """Return the form in which *value* is stored if its class, or a base of it, is registered; else None.

    A function of the application's may raise any exception.
    """
    found = next((_by_type[base] for base in type(value).__mro__ if base in _by_type), None) if _by_type else None
    if found is None:
        return None
    plain = found.to_plain(value)
    has_own_equality = any("__eq__" in vars(base) for base in found.type.__mro__[:-1])
    if has_own_equality and _differ(found, found.from_plain(plain), value, plain):
        raise UnsupportedValue(f"is of the type {found.name!r}, and what from_plain returns for it does not equal it")
    return StoredValue(found.name, plain)


def _differ(registered: _Registered, again: object, value: object, plain: Any) -> bool:
    try:
        return bool(again != value)
    except Exception:  # noqa: BLE001  # arrays compare item by item, which is neither true nor false
        return bool(registered.to_plain(again) != plain)


def _restored(parts: list[Any]) -> object:
    name, plain = parts
    return _by_name[name].from_plain(plain)


#: As `STORED`, but reads the values themselves. It raises any exception where a type is not registered.
RESTORED = dataclasses.replace(STORED, from_plain=_restored)


def use_json_form(form: Callable[[Any], Any]) -> None:
    """Keep values of all other types as what *form* returns: plain values; it may raise any exception."""
    global json_form  # noqa: PLW0603  # one of the process, as the registered types
    json_form = form
