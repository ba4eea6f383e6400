"""A User-Agent header as families of browsers, systems and devices, and as a hash. The header itself is not stored."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from holdfast.records.metadata import Device, fit
from holdfast.records.tokens import labelled

#: The metadata with the `agent_of` value of the browser that the session began with.
AGENT = "agent"

#: Truncate a longer header before parsing: browsers send less, and the time grows with the length.
LONGEST_HEADER = 512

_LONGEST_NAME = 40


#: The metadata of an unknown device.
NO_DEVICE = Device().as_meta()


@functools.lru_cache(maxsize=1024)
def device_metadata(header: str) -> dict[str, str | None]:
    """Return the metadata of the device in the User-Agent *header*; of an unknown one without ``holdfast[devices]``."""
    parse = _parser()
    line = fit(header, LONGEST_HEADER)
    if parse is None or line is None:
        return NO_DEVICE
    found = parse(line)
    parts = (found.user_agent, found.os, found.device)
    return Device(*(part and fit(part.family, _LONGEST_NAME) for part in parts)).as_meta()


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
