"""The readable codec: JSON, with ``{"$name": …}`` for the types that JSON does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from holdfast.records.codec.encoder import Encoder, is_mark
from holdfast.records.codec.strict import StrictCodec
from holdfast.records.codec.type_codecs import TYPE_CODECS, TypeCodec

_BY_TAG: dict[str, TypeCodec] = {f"${codec.name}": codec for codec in TYPE_CODECS}


def _mark(codec: TypeCodec, plain: Any) -> dict[str, Any]:
    return {f"${codec.name}": plain}


def _restore(named: dict[str, Any]) -> Any:
    if not is_mark(named):
        return named
    ((tag, plain),) = named.items()
    return _BY_TAG[tag].from_plain(plain)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_read = json.JSONDecoder(object_hook=_restore, parse_constant=_refuse).decode
_encoder = Encoder(native=frozenset({type(None), bool}), mark=_mark, write=_write, tags=True)


class JsonCodec(StrictCodec):
    """Writes compact JSON in UTF-8."""

    name = "json"

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded. See `holdfast.records.codec.Codec.dumps`."""
        return _write(_encoder.encode_session(data if type(data) is dict else dict(data))).encode()

    def _parse(self, payload: bytes) -> Any:
        return _read(payload.decode())
