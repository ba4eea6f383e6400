"""The base of the codecs: they read only what they write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from holdfast.errors import DecodeError


class StrictCodec(ABC):
    """Accepts a payload only if encoding the data again gives the same bytes.

    This one comparison refuses everything that a parser tolerates: bytes after the end, duplicate keys, long spellings
    of short numbers, nesting deeper than `MAX_DEPTH`, malformed type marks.
    """

    name: str

    @abstractmethod
    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded."""

    @abstractmethod
    def _parse(self, payload: bytes) -> Any:
        """Return the value in *payload*, or raise any exception."""

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Return the data in *payload*.

        Raises:
            DecodeError: *payload* is not what `dumps` returns for any data.
        """
        try:
            data = self._parse(payload)
            if type(data) is dict and self.dumps(data) == payload:
                return data
            problem = "it reads as something else"
        except Exception as error:  # noqa: BLE001  # parsers raise all sorts on hostile bytes; raised as one below
            problem = type(error).__name__
        # Outside of the handler, because a parser's error contains the payload.
        raise DecodeError(f"the session's data is not {self.name} as Holdfast writes it: {problem}")
