"""The two codecs, msgpack and JSON. Both read only what they write.

The fast one is msgpack, with extension types for the types that msgpack does not have. Its library writes ordinary
sessions by itself and calls back for each value of another type. The `Encoder` walks the data in Python only if the
library refuses it, or if its output may be too deep or not canonical.

The library is ormsgpack, or msgpack on Python 3.10. The newest ormsgpack for that Python, 1.12.2, crashes the process
on fifteen bytes that claim to be an array of four billion items. msgpack is slower, reads and writes the same bytes,
and refuses those.

The readable one is JSON, with ``{"$name": …}`` for the types that JSON does not have.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, NoReturn, Protocol

from holdfast.errors import DecodeError, raise_own_fault
from holdfast.records.codec.encoder import CONTAINERS, MAX_DEPTH, Encoder, is_mark
from holdfast.records.codec.registry import RESTORED
from holdfast.records.codec.type_codecs import STORED, TYPE_CODECS, TypeCodec


class Codec(ABC):
    """Turns a session's data into bytes and back. Equal data in equal order gives equal bytes, in any process.

    It accepts a payload only if encoding the data again gives the same bytes. This one comparison refuses everything
    that a parser tolerates: bytes after the end, duplicate keys, long spellings of short numbers, nesting deeper than
    `MAX_DEPTH`, malformed type marks.
    """

    name: str

    @abstractmethod
    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded; an `EncodeError` has the path, as in ``session['cart'][0]``, and the fix."""

    @abstractmethod
    def _parse(self, payload: bytes, *, restore: bool = False) -> Any:
        """Return the value in *payload*, or raise any exception. *restore* makes values of registered types."""

    @abstractmethod
    def _may_hold_stored(self, payload: bytes) -> bool:
        """Return False only if no value in *payload* is of a registered type."""

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Return the data in *payload*; `DecodeError` for what `dumps` does not return, such as hostile bytes."""
        data: Any = None
        try:
            data = self._parse(payload)
            problem = "" if type(data) is dict and self.dumps(data) == payload else "it reads as something else"
        except Exception as error:  # noqa: BLE001  # parsers raise all sorts on hostile bytes; raised as one below
            raise_own_fault(error)
            problem = type(error).__name__
        # Outside of the handler, because a parser's error contains the payload.
        if problem:
            raise DecodeError(f"the session's data is not {self.name} as Holdfast writes it: {problem}")
        restored: dict[Any, Any] = self._restored(payload) if self._may_hold_stored(payload) else data
        return restored

    def _restored(self, payload: bytes) -> Any:
        try:
            return self._parse(payload, restore=True)
        except Exception as error:  # noqa: BLE001  # the application's functions raise any; raised as one below
            raise_own_fault(error)
        raise DecodeError(
            "the session's data holds a value of a type that is not registered here, or that its from_plain refuses:"
            " see holdfast.register_type",
            foreign=True,
        )


# --- msgpack ----------------------------------------------------------------------------------------------------------

#: Returns the value of an extension, given its type and bytes, or raises any exception.
ExtHook = Callable[[int, bytes], Any]
#: Returns the form to write for a value that the library cannot write, or raises any exception.
Default = Callable[[Any], Any]


class Packer(Protocol):
    """A msgpack library."""

    def ext(self, code: int, data: bytes, /) -> Any:
        """Return an extension, to be written by `pack`."""

    def pack(self, plain: Any, /) -> bytes:
        """Return the bytes of what `Encoder.encode` returned."""

    def pack_native(self, data: dict[Any, Any], default: Default, /) -> bytes | None:
        """Return the bytes of *data*, or None where the library refuses it and the `Encoder` is needed."""

    def unpack(self, payload: bytes, hook: ExtHook | None, /) -> Any:
        """Return the value in *payload*, or raise any exception. Bytes after the end may be ignored."""


class Ormsgpack:
    """Writes data directly: ormsgpack calls *default* for each value that is not plain."""

    def __init__(self) -> None:
        import ormsgpack

        self.ext = ormsgpack.Ext
        self.pack = ormsgpack.packb
        self._packb = ormsgpack.packb
        self._unpackb = ormsgpack.unpackb
        self._option = (
            ormsgpack.OPT_PASSTHROUGH_BIG_INT
            | ormsgpack.OPT_PASSTHROUGH_DATACLASS
            | ormsgpack.OPT_PASSTHROUGH_DATETIME
            | ormsgpack.OPT_PASSTHROUGH_ENUM
            | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
            | ormsgpack.OPT_PASSTHROUGH_TUPLE
            | ormsgpack.OPT_PASSTHROUGH_UUID
        )

    def pack_native(self, data: dict[Any, Any], default: Default, /) -> bytes | None:
        try:
            return self._packb(data, default, self._option)
        except TypeError:
            return None

    def unpack(self, payload: bytes, hook: ExtHook | None, /) -> Any:
        """Return the value in *payload*; bytes after the end are ignored."""
        return self._unpackb(payload, ext_hook=hook)


class Msgpack:
    """Writes only what `Encoder.encode` returned."""

    def __init__(self) -> None:
        import msgpack  # type: ignore[import-untyped]  # it ships no annotations

        self.ext = msgpack.ExtType
        self._packb = msgpack.packb
        self._unpackb = msgpack.unpackb

    def pack(self, plain: Any, /) -> bytes:
        packed: bytes = self._packb(plain, strict_types=True)
        return packed

    def pack_native(self, _data: dict[Any, Any], _default: Default, /) -> None:
        """Return None."""

    def unpack(self, payload: bytes, hook: ExtHook | None, /) -> Any:
        """Return the value in *payload*, or raise if there are bytes after the end."""
        return self._unpackb(payload, ext_hook=hook or _refuse_extension, strict_map_key=True)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"an extension of type {code} is out of place")


_BY_CODE: dict[int, TypeCodec] = {codec.code: codec for codec in TYPE_CODECS}

# The first bytes of maps, arrays and extensions: a container is written with at least one of them.
_CONTAINER_BYTES = bytes([*range(0x80, 0xA0), *range(0xC7, 0xCA), *range(0xD4, 0xD9), *range(0xDC, 0xE0)])
# The first bytes of binary data, which bytearray and memoryview are written as too.
_BINARY_BYTES = bytes(range(0xC4, 0xC7))
_OTHER_BYTES = bytes(sorted(set(range(256)).difference(_CONTAINER_BYTES, _BINARY_BYTES)))

_LEAVES = frozenset({type(None), bool, str, *(codec.type for codec in TYPE_CODECS)}) - CONTAINERS
_BRANCHES = frozenset({list, dict})
_KNOWN = _LEAVES | _BRANCHES
_ONLY_LISTS = frozenset({list})


class MsgpackCodec(Codec):
    """Writes msgpack with *packer*."""

    name = "msgpack"

    def __init__(self, packer: Packer) -> None:
        self.packer = packer
        encoder = Encoder(
            native=frozenset({type(None), bool, float, bytes}), mark=self._mark, write=packer.pack, tags=False
        )
        self._encode = encoder.encode
        self._encode_session = encoder.encode_session
        self._texts = {codec.type: self._text_writer(codec) for codec in TYPE_CODECS if codec.is_text}
        self._hook = self._hook_with(MAX_DEPTH, _BY_CODE)
        self._restoring_hook = self._hook_with(MAX_DEPTH, {**_BY_CODE, RESTORED.code: RESTORED})

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        if type(data) is not dict:
            data = dict(data)
        packed = self.packer.pack_native(data, self._default)
        if packed is None or (_is_doubtful(packed) and not _is_plain(data)):
            return self.packer.pack(self._encode_session(data))
        return packed

    def _parse(self, payload: bytes, *, restore: bool = False) -> Any:
        return self.packer.unpack(payload, self._restoring_hook if restore else self._hook)

    def _may_hold_stored(self, payload: bytes) -> bool:
        return STORED.code in payload

    def _mark(self, codec: TypeCodec, plain: Any) -> Any:
        return self.packer.ext(codec.code, _bytes(plain) if codec.is_text else self.packer.pack(plain))

    def _text_writer(self, codec: TypeCodec) -> Callable[[Any], Any]:
        ext, code, to_plain = self.packer.ext, codec.code, codec.to_plain
        return lambda value: ext(code, _bytes(to_plain(value)))

    def _default(self, value: Any) -> Any:
        """Return the extension for a value that the library cannot write. The `Encoder` finds any error again."""
        write = self._texts.get(type(value))
        return self._encode(value) if write is None else write(value)

    def _hook_with(self, room: int, codecs: Mapping[int, TypeCodec]) -> ExtHook:
        """Return the hook that reads extensions by *codecs*, nested at most *room* deep."""
        inner = self._hook_with(room - 1, codecs) if room else None
        unpack = self.packer.unpack

        def restore(code: int, data: bytes) -> Any:
            codec = codecs[code]
            return codec.from_plain(str(data, "utf-8", "surrogatepass") if codec.is_text else unpack(data, inner))

        return restore


def _is_doubtful(packed: bytes) -> bool:
    """Return False only if *packed* is certainly not too deep and certainly holds no binary data."""
    marks = packed.translate(None, _OTHER_BYTES)
    return len(marks) > MAX_DEPTH or 0xC4 in marks or 0xC5 in marks or 0xC6 in marks


def _is_plain(data: dict[Any, Any]) -> bool:
    """Return True only if *data* is certainly no deeper than allowed and all its types can be read back."""
    inner = list(data.values())
    for _ in range(MAX_DEPTH - 1):
        types = set(map(type, inner))
        if _LEAVES.issuperset(types):
            return True
        if not types.issubset(_KNOWN) and not all(_is_flat(value) for value in inner if type(value) not in _KNOWN):
            return False
        lists: Iterable[Any] = inner if types == _ONLY_LISTS else (value for value in inner if type(value) is list)
        dicts = (value for value in inner if type(value) is dict) if dict in types else ()
        inner = [*chain.from_iterable(lists), *chain.from_iterable(map(dict.values, dicts))]
    return _LEAVES.issuperset(map(type, inner))


def _is_flat(value: Any) -> bool:
    return type(value) in CONTAINERS and _LEAVES.issuperset(map(type, value))


# --- JSON -------------------------------------------------------------------------------------------------------------

_BY_TAG: dict[str, TypeCodec] = {f"${codec.name}": codec for codec in TYPE_CODECS}


def _json_mark(codec: TypeCodec, plain: Any) -> dict[str, Any]:
    return {f"${codec.name}": plain}


def _json_decoder(codecs: Mapping[str, TypeCodec]) -> Callable[[str], Any]:
    def restore(named: dict[str, Any]) -> Any:
        if not is_mark(named):
            return named
        ((tag, plain),) = named.items()
        return codecs[tag].from_plain(plain)

    return json.JSONDecoder(object_hook=restore, parse_constant=_refuse_constant).decode


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_write_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_STORED_TAG = f"${STORED.name}"
_read_json = _json_decoder(_BY_TAG)
_restore_json = _json_decoder({**_BY_TAG, _STORED_TAG: RESTORED})
_json_encoder = Encoder(native=frozenset({type(None), bool}), mark=_json_mark, write=_write_json, tags=True)


class JsonCodec(Codec):
    """Writes compact JSON in UTF-8."""

    name = "json"

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        return _write_json(_json_encoder.encode_session(data if type(data) is dict else dict(data))).encode(
            "utf-8", "surrogatepass"
        )

    def _parse(self, payload: bytes, *, restore: bool = False) -> Any:
        return (_restore_json if restore else _read_json)(payload.decode("utf-8", "surrogatepass"))

    def _may_hold_stored(self, payload: bytes) -> bool:
        return _STORED_TAG.encode() in payload
