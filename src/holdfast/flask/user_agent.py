"""A User-Agent header as families of browsers, systems and devices, and as a hash. The header itself is not stored."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from holdfast.records.metadata import Device, fit
from holdfast.records.tokens import labelled

#: The metadata with the `agent_of` the browser that the session began with.
AGENT = "agent"

#: A longer header is truncated before parsing: browsers send less, and the time grows with the length.
_LONGEST_HEADER = 512

_LONGEST_NAME = 40


def device_of(header: str) -> Device:
    """Return the device in the User-Agent *header*; empty without ``holdfast[devices]``."""
    parse = _parser()
    line = fit(header, _LONGEST_HEADER)
    if parse is None or line is None:
        return Device()
    found = parse(line)
    return Device(*map(_family, (found.user_agent, found.os, found.device)))


def agent_of(header: str) -> str:
    """Return a hash of the User-Agent *header*: equal for equal headers, and otherwise without information."""
    raw = header.encode("utf-8", "surrogateescape")
    return hashlib.sha256(labelled(b"user agent", raw)).hexdigest()[:32]


@functools.cache
def _parser() -> Callable[[str], Any] | None:
    """Return a parser that caches some headers, or None if ua-parser is not installed."""
    try:
        import ua_parser
    except ModuleNotFoundError:
        return None
    return ua_parser.parse


def _family(part: Any) -> str | None:
    return fit(part.family, _LONGEST_NAME) if part is not None else None
