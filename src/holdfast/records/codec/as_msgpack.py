"""The fast codec: msgpack, with extension types for the types that msgpack does not have.

The library writes ordinary sessions by itself and calls back for each value of another type. The `Encoder` walks the
data in Python only if the library refuses it, or if its output may be too deep or not canonical.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.records.codec.encoder import CONTAINERS, MAX_DEPTH, Encoder
from holdfast.records.codec.packers import ExtHook, Packer
from holdfast.records.codec.strict import StrictCodec
from holdfast.records.codec.type_codecs import TYPE_CODECS, TypeCodec

_BY_CODE: dict[int, TypeCodec] = {codec.code: codec for codec in TYPE_CODECS}

# The first bytes of maps, arrays and extensions: a container is written with at least one of them.
_CONTAINER_BYTES = bytes([*range(0x80, 0xA0), *range(0xC7, 0xCA), *range(0xD4, 0xD9), *range(0xDC, 0xE0)])
# The first bytes of binary data, which bytearray and memoryview are written as too.
_BINARY_BYTES = bytes(range(0xC4, 0xC7))
_OTHER_BYTES = bytes(sorted(set(range(256)).difference(_CONTAINER_BYTES, _BINARY_BYTES)))

_LEAVES = frozenset({type(None), bool, str, *(codec.type for codec in TYPE_CODECS)}) - CONTAINERS
_BRANCHES = frozenset({list, dict})


class MsgpackCodec(StrictCodec):
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
        self._hook = self._hook_with(MAX_DEPTH)

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded. See `holdfast.records.codec.Codec.dumps`."""
        if type(data) is not dict:
            data = dict(data)
        packed = self.packer.pack_native(data, self._default)
        if packed is None or (_is_doubtful(packed) and not _is_plain(data)):
            return self.packer.pack(self._encode_session(data))
        return packed

    def _parse(self, payload: bytes) -> Any:
        return self.packer.unpack(payload, self._hook)

    def _mark(self, codec: TypeCodec, plain: Any) -> Any:
        return self.packer.ext(codec.code, plain.encode() if codec.is_text else self.packer.pack(plain))

    def _text_writer(self, codec: TypeCodec) -> Callable[[Any], Any]:
        ext, code, to_plain = self.packer.ext, codec.code, codec.to_plain
        return lambda value: ext(code, to_plain(value).encode())

    def _default(self, value: Any) -> Any:
        """Return the extension for a value that the library cannot write. The `Encoder` finds any error again."""
        write = self._texts.get(type(value))
        return self._encode(value) if write is None else write(value)

    def _hook_with(self, room: int) -> ExtHook:
        """Return the hook that reads extensions, nested at most *room* deep."""
        inner = self._hook_with(room - 1) if room else None
        unpack = self.packer.unpack

        def restore(code: int, data: bytes) -> Any:
            codec = _BY_CODE[code]
            return codec.from_plain(str(data, "utf-8") if codec.is_text else unpack(data, inner))

        return restore


def _is_doubtful(packed: bytes) -> bool:
    """Return False only if *packed* is certainly not too deep and certainly holds no binary data."""
    marks = packed.translate(None, _OTHER_BYTES)
    return len(marks) > MAX_DEPTH or 0xC4 in marks or 0xC5 in marks or 0xC6 in marks


def _is_plain(data: dict[Any, Any]) -> bool:
    """Return True only if *data* is certainly no deeper than allowed and all its types can be read back."""
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        inner = [v for c in level for v in (c.values() if type(c) is dict else c) if type(v) not in _LEAVES]
        if not inner:
            return True
        level = [v for v in inner if type(v) in _BRANCHES]
        if len(level) < len(inner) and not all(_is_flat(v) for v in inner if type(v) not in _BRANCHES):
            return False
    return False


def _is_flat(value: Any) -> bool:
    return type(value) in CONTAINERS and _LEAVES.issuperset(map(type, value))
