"""The codecs: a session's data to bytes and back, unchanged.

One table, `holdfast.records.codec.type_codecs.TYPE_CODECS`, lists the types that a session can hold. Both
codecs share it, and neither can execute code from a payload.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from holdfast.errors import ConfigurationError
from holdfast.records.codec.as_json import JsonCodec
from holdfast.records.codec.as_msgpack import MsgpackCodec
from holdfast.records.codec.encoder import MAX_DEPTH
from holdfast.records.codec.packers import Msgpack, Ormsgpack

__all__ = ["JSON", "MAX_DEPTH", "MSGPACK", "Codec", "codec_named"]


class Codec(Protocol):
    """Turns a session's data into bytes and back. Equal data in equal order gives equal bytes, in any process."""

    name: str

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded.

        Raises:
            EncodeError: A value cannot be stored. The message names its path, as in ``session['cart'][0]['price']``,
                and the fix.
        """

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Return the data in *payload*.

        Raises:
            DecodeError: *payload* is damaged, foreign or hostile: `dumps` does not return it for any data.
        """


MSGPACK: Codec = MsgpackCodec(Ormsgpack() if sys.version_info >= (3, 11) else Msgpack())
JSON: Codec = JsonCodec()


def codec_named(name: str) -> Codec:
    """Return the codec with *name*, ``msgpack`` or ``json``.

    Raises:
        ConfigurationError: There is no such codec.
    """
    for codec in (MSGPACK, JSON):
        if codec.name == name:
            return codec
    raise ConfigurationError(f"SESSION_SERIALIZATION_FORMAT is {name!r}: use 'msgpack' or 'json'")
