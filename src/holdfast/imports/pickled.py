"""Reads a pickle without unpickling: nothing is imported or called but the constructors of a fixed list of types."""

from __future__ import annotations

import datetime as dt
import pickletools
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID, SafeUUID

from markupsafe import Markup

from holdfast.errors import DecodeError, raise_own_fault

#: The most of `_check_size` for a pickle, and for each of its bytes. It can name one list a million times.
_MOST, _MOST_EACH = 256 * 1024, 64
#: The most in a tuple that is hashed, which takes as long as if it named nothing twice.
_MOST_IN_KEY = 256

#: The exceptions that reading a damaged pickle raises.
_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_MARK: Any = object()


class _Class:
    """A type that the pickle names. *make* returns a value of it, from the arguments in the pickle."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"it is no {kind.__name__}")
    return value


def _encoded(text: str, encoding: str) -> bytes:
    return _of(str, text).encode({"latin1": "latin1"}[encoding])  # type: ignore[no-any-return]


_OBJECT = _Class(_MARK)
_CLASSES: dict[tuple[str, str], _Class] = {
    ("datetime", "datetime"): _Class(dt.datetime),
    ("datetime", "date"): _Class(dt.date),
    ("datetime", "time"): _Class(dt.time),
    ("datetime", "timedelta"): _Class(dt.timedelta),
    ("datetime", "timezone"): _Class(dt.timezone),
    ("decimal", "Decimal"): _Class(lambda text: Decimal(_of(str, text))),
    ("uuid", "UUID"): _Class(lambda: UUID.__new__(UUID)),
    ("markupsafe", "Markup"): _Class(lambda text: Markup(_of(str, text))),  # noqa: S704  # as it was stored
    # A session of ours has a dict in their place, too.
    ("collections", "OrderedDict"): _Class(lambda: {}),  # noqa: PIE807  # dict would take arguments
    ("collections", "defaultdict"): _Class(lambda _=None: {}),
    ("collections", "Counter"): _Class(lambda counts: _of(dict, counts)),
    ("_codecs", "encode"): _Class(_encoded),
    ("copyreg", "_reconstructor"): _Class(lambda kind, _, state: kind.make() if state is None else kind.make(state)),
    **{("builtins", name): _OBJECT for name in ("object", "str", "unicode", "list", "dict", "int", "long", "float")},
    ("builtins", "bytes"): _Class(lambda: b""),
    ("builtins", "set"): _Class(lambda values: set(_hashed(_of(list, values)))),
    ("builtins", "frozenset"): _Class(lambda values: frozenset(_hashed(_of(list, values)))),
}
# Protocols 0 to 2 use the names of Python 2.
_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class _Reader:
    """The stack and the memo of one pickle. A method executes each opcode."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.unfinished: set[int] = set()

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark is out of place")
        return value

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:  # without a mark it ends with an IndexError
            at -= 1
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def extend(self, values: list[Any]) -> None:
        _of(list, self.stack[-1]).extend(values)

    def add(self, values: list[Any]) -> None:
        _of(set, self.stack[-1]).update(_hashed(values))

    def update(self, pairs: list[Any]) -> None:
        if len(pairs) % 2:
            raise ValueError("a key has no value")
        _of(dict, self.stack[-1]).update(zip(_hashed(pairs[::2]), pairs[1::2], strict=True))

    def make_dict(self) -> None:
        pairs = self.pop_to_mark()
        self.stack.append({})
        self.update(pairs)

    def put(self, at: int) -> None:
        self.memo[at] = self.stack[-1]

    def find(self, module: str, name: str) -> None:
        self.stack.append(_CLASSES[_MODULES.get(module, module), name])

    def call(self) -> None:
        arguments = _of(tuple, self.pop())
        value = _of(_Class, self.pop()).make(*arguments)
        if type(value) is UUID:
            self.unfinished.add(id(value))
        self.stack.append(value)

    def build(self) -> None:
        state, value = _of(dict, self.pop()), _of(UUID, self.stack[-1])
        number = UUID(int=_of(int, state["int"])).int
        object.__setattr__(value, "int", number)
        object.__setattr__(value, "is_safe", SafeUUID.unknown)
        self.unfinished.discard(id(value))

    def pair(self) -> list[Any]:
        value = self.pop()
        return [self.pop(), value]

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(values)))


#: The opcodes that push their argument, as `pickletools` decodes it.
_LITERALS = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "SHORT_BINUNICODE",
    "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
)  # fmt: skip
_ACTIONS: dict[str, Callable[[_Reader, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda reader, arg: None),  # noqa: ARG005
    **dict.fromkeys(_LITERALS, lambda reader, arg: reader.stack.append(arg)),
    "NONE": lambda reader, _: reader.stack.append(None),
    "NEWTRUE": lambda reader, _: reader.stack.append(True),
    "NEWFALSE": lambda reader, _: reader.stack.append(False),
    "EMPTY_LIST": lambda reader, _: reader.stack.append([]),
    "EMPTY_DICT": lambda reader, _: reader.stack.append({}),
    "EMPTY_TUPLE": lambda reader, _: reader.stack.append(()),
    "EMPTY_SET": lambda reader, _: reader.stack.append(set()),
    "MARK": lambda reader, _: reader.stack.append(_MARK),
    "POP": lambda reader, _: reader.stack.pop(),
    "POP_MARK": lambda reader, _: reader.pop_to_mark(),
    "APPEND": lambda reader, _: reader.extend([reader.pop()]),
    "APPENDS": lambda reader, _: reader.extend(reader.pop_to_mark()),
    "LIST": lambda reader, _: reader.stack.append(reader.pop_to_mark()),
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.pop_to_mark())),
    "TUPLE1": lambda reader, _: reader.tuple_of(1),
    "TUPLE2": lambda reader, _: reader.tuple_of(2),
    "TUPLE3": lambda reader, _: reader.tuple_of(3),
    "DICT": lambda reader, _: reader.make_dict(),
    "SETITEM": lambda reader, _: reader.update(reader.pair()),
    "SETITEMS": lambda reader, _: reader.update(reader.pop_to_mark()),
    "ADDITEMS": lambda reader, _: reader.add(reader.pop_to_mark()),
    "FROZENSET": lambda reader, _: reader.stack.append(frozenset(_hashed(reader.pop_to_mark()))),
    "GLOBAL": lambda reader, arg: reader.find(*arg.split(" ")),
    "STACK_GLOBAL": lambda reader, _: reader.find(*reader.pair()),
    "REDUCE": lambda reader, _: reader.call(),
    "NEWOBJ": lambda reader, _: reader.call(),
    "BUILD": lambda reader, _: reader.build(),
    "MEMOIZE": lambda reader, _: reader.put(len(reader.memo)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda reader, arg: reader.put(arg)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda reader, arg: reader.stack.append(reader.memo[arg])),
}


def read(data: bytes) -> Any:
    """Return the value that the pickle *data* stands for; `DecodeError` unless it is made of the listed types alone."""
    reader = _Reader()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                break
            _ACTIONS[opcode.name](reader, argument)
        (value,) = reader.stack
        if reader.unfinished:
            raise ValueError("a UUID has no number")
        _check_size(value, _MOST + _MOST_EACH * len(data))
    except _FAULTS as error:
        raise_own_fault(error)
        problem = type(error).__name__
    else:
        return value
    # Outside of the handler, because the error contains parts of the session.
    raise DecodeError(f"the pickle is damaged, or holds a value of a type that is not read: {problem}")


def _hashed(values: list[Any]) -> list[Any]:
    """Return *values*, which become keys or members of a set, none of which holds too much."""
    for value in values:
        if isinstance(value, tuple):
            _check_size(value, _MOST_IN_KEY)
    return values


def _check_size(value: Any, most: int) -> None:
    """Return if the sum of the values in *value* and of the lengths of its texts is *most* or less."""
    left, rest = most, [value]
    while rest:
        each = rest.pop()
        left -= 1
        if isinstance(each, str | bytes):
            left -= len(each)
        elif isinstance(each, dict):
            rest += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            rest += each
        elif isinstance(each, _Class) or each is _MARK:
            raise TypeError("it is no value")
        if left < 0 or len(rest) > most:
            raise ValueError("too large")
