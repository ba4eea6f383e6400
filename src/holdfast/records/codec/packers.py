"""The library that reads and writes msgpack: ormsgpack, or msgpack where ormsgpack is not safe.

On Python 3.10 the newest ormsgpack is 1.12.2, which crashes the process on fifteen bytes that claim to be an array of
four billion items. msgpack is slower, reads and writes the same bytes, and refuses those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

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
        """Return *data* encoded, or None when ormsgpack or *default* refuses something in it."""
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
        """Return the bytes of what `Encoder.encode` returned."""
        packed: bytes = self._packb(plain, strict_types=True)
        return packed

    def pack_native(self, _data: dict[Any, Any], _default: Default, /) -> None:
        """Return None."""

    def unpack(self, payload: bytes, hook: ExtHook | None, /) -> Any:
        """Return the value in *payload*, or raise if there are bytes after the end."""
        return self._unpackb(payload, ext_hook=hook or _refuse, strict_map_key=True)


def _refuse(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"an extension of type {code} is out of place")
