"""What a User-Agent header tells of a device, by families alone. The header itself is not kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from holdfast.records.metadata import Device, fit

#: A longer header is cut here before it is looked at: browsers send less, and the search takes longer the more it is.
_LONGEST_HEADER = 512

_LONGEST_NAME = 40


def device_of(header: str) -> Device:
    """Return what the User-Agent *header* tells; nothing without ``holdfast[devices]``."""
    parse = _parser()
    line = fit(header, _LONGEST_HEADER)
    if parse is None or line is None:
        return Device()
    found = parse(line)
    return Device(*map(_family, (found.user_agent, found.os, found.device)))


@functools.cache
def _parser() -> Callable[[str], Any] | None:
    """Return what parses a header and remembers some, or None where ua-parser is not installed."""
    try:
        import ua_parser
    except ModuleNotFoundError:
        return None
    return ua_parser.parse


def _family(part: Any) -> str | None:
    return fit(part.family, _LONGEST_NAME) if part is not None else None
