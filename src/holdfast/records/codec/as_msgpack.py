"""The fast codec: msgpack, in which a kind is an extension type.

Ordinary sessions are written by the library alone; values of a kind are handed back one by one. Only what the library
refuses, and what may be more than the library can vouch for, is walked in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.records.codec.encoder import CONTAINERS, MAX_DEPTH, Lowering
from holdfast.records.codec.packers import ExtHook, Packer
from holdfast.records.codec.strict import StrictCodec
from holdfast.records.codec.type_codecs import KINDS, Kind

_BY_CODE: dict[int, Kind] = {kind.code: kind for kind in KINDS}

# The first bytes of maps, arrays and extensions: a container is written with at least one of them.
_CONTAINER_BYTES = bytes([*range(0x80, 0xA0), *range(0xC7, 0xCA), *range(0xD4, 0xD9), *range(0xDC, 0xE0)])
# The first bytes of binary data, which bytearray and memoryview are written as too.
_BINARY_BYTES = bytes(range(0xC4, 0xC7))
_OTHER_BYTES = bytes(sorted(set(range(256)).difference(_CONTAINER_BYTES, _BINARY_BYTES)))

_LEAVES = frozenset({type(None), bool, str, *(kind.type for kind in KINDS)}) - CONTAINERS
_BRANCHES = frozenset({list, dict})


class MsgpackCodec(StrictCodec):
    """Writes msgpack with *packer*."""

    name = "msgpack"

    def __init__(self, packer: Packer) -> None:
        self.packer = packer
        lowering = Lowering(
            native=frozenset({type(None), bool, float, bytes}), mark=self._mark, encode=packer.pack, tags=False
        )
        self._lower = lowering.lower
        self._lower_session = lowering.session
        self._texts = {kind.type: self._text_writer(kind) for kind in KINDS if kind.is_text}
        self._hook = self._hook_with(MAX_DEPTH)

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded. See `holdfast.records.codec.Codec.dumps`."""
        if type(data) is not dict:
            data = dict(data)
        packed = self.packer.pack_native(data, self._default)
        if packed is None or (_is_doubtful(packed) and not _is_plain(data)):
            return self.packer.pack(self._lower_session(data))
        return packed

    def _parse(self, payload: bytes) -> Any:
        return self.packer.unpack(payload, self._hook)

    def _mark(self, kind: Kind, plain: Any) -> Any:
        return self.packer.ext(kind.code, plain.encode() if kind.is_text else self.packer.pack(plain))

    def _text_writer(self, kind: Kind) -> Callable[[Any], Any]:
        ext, code, to_plain = self.packer.ext, kind.code, kind.to_plain
        return lambda value: ext(code, to_plain(value).encode())

    def _default(self, value: Any) -> Any:
        """Return what stands for a value that the library hands back. Whatever this raises, lowering finds again."""
        write = self._texts.get(type(value))
        return self._lower(value) if write is None else write(value)

    def _hook_with(self, room: int) -> ExtHook:
        """Return what restores kinds, nested *room* deep at most."""
        inner = self._hook_with(room - 1) if room else None
        unpack = self.packer.unpack

        def restore(code: int, data: bytes) -> Any:
            kind = _BY_CODE[code]
            return kind.from_plain(str(data, "utf-8") if kind.is_text else unpack(data, inner))

        return restore


def _is_doubtful(packed: bytes) -> bool:
    """Tell whether *packed* may be nested too deeply, or may hold what was not bytes. No means no."""
    marks = packed.translate(None, _OTHER_BYTES)
    return len(marks) > MAX_DEPTH or 0xC4 in marks or 0xC5 in marks or 0xC6 in marks


def _is_plain(data: dict[Any, Any]) -> bool:
    """Tell whether *data*, once written, is no deeper than allowed and has values of kept types only. Yes means yes."""
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
