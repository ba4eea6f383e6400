"""The codec that a person can read: JSON, in which plain data looks plain and a kind is ``{"$name": …}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from holdfast.records.codec.encoder import Lowering, is_mark
from holdfast.records.codec.strict import StrictCodec
from holdfast.records.codec.type_codecs import KINDS, Kind

_BY_TAG: dict[str, Kind] = {f"${kind.name}": kind for kind in KINDS}


def _mark(kind: Kind, plain: Any) -> dict[str, Any]:
    return {f"${kind.name}": plain}


def _restore(named: dict[str, Any]) -> Any:
    if not is_mark(named):
        return named
    ((tag, plain),) = named.items()
    return _BY_TAG[tag].from_plain(plain)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_read = json.JSONDecoder(object_hook=_restore, parse_constant=_refuse).decode
_lowering = Lowering(native=frozenset({type(None), bool}), mark=_mark, encode=_write, tags=True)


class JsonCodec(StrictCodec):
    """Writes compact JSON in UTF-8."""

    name = "json"

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded. See `holdfast.records.codec.Codec.dumps`."""
        return _write(_lowering.session(data if type(data) is dict else dict(data))).encode()

    def _parse(self, payload: bytes) -> Any:
        return _read(payload.decode())
