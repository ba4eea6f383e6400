"""What the codecs share: they read nothing but what they write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from holdfast.errors import DecodeError


class StrictCodec(ABC):
    """Reads a payload and accepts it only if it is, byte for byte, what it writes for the data it read.

    So one comparison refuses all that a parser lets through: bytes after the end, keys given twice, long spellings of
    short numbers, deeper nesting than is ever written, marks with something else in them.
    """

    name: str

    @abstractmethod
    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded."""

    @abstractmethod
    def _parse(self, payload: bytes) -> Any:
        """Return what *payload* seems to say, or raise anything."""

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Return the data that `dumps` made *payload* of.

        Raises:
            DecodeError: It made no such payload.
        """
        try:
            data = self._parse(payload)
            if type(data) is dict and self.dumps(data) == payload:
                return data
            problem = "it reads as something else"
        except Exception as error:  # noqa: BLE001  # parsers raise all sorts on hostile bytes; raised as one below
            problem = type(error).__name__
        # Outside of the handler, because a parser's error carries the payload along.
        raise DecodeError(f"the session's data is not {self.name} as Holdfast writes it: {problem}")
