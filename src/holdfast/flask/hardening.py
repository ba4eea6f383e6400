"""What an application may switch on beyond the defaults: caching, what a logout clears, HTTPS only, one device."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Request

from holdfast.errors import ConfigurationError
from holdfast.records.tokens import labelled

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

#: The metadata that tells which browser a session began with, as a hash.
AGENT = "agent"

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "SESSION_CACHE_CONTROL": ("private", "no-store"),
    "SESSION_ON_DEVICE_CHANGE": (None, "signal", "end"),
}

#: What a browser can be told to clear, and what it is told where the setting is True.
_DIRECTIVES = (
    "cache",
    "cookies",
    "storage",
    "executionContexts",
    "clientHints",
    "prefetchCache",
    "prerenderCache",
    "*",
)
_BY_DEFAULT = ("cookies", "storage")

#: These remove cookies, the one that the response itself sets too.
_OF_COOKIES = frozenset({"cookies", "*"})


def check(config: Mapping[str, Any]) -> None:
    """Refuse values that cannot be meant.

    Raises:
        ConfigurationError: The message names the setting, the value and the fix.
    """
    for name, choices in _CHOICES.items():
        if config[name] not in choices:
            raise ConfigurationError(f"{name} is {config[name]!r}: it must be one of {', '.join(map(repr, choices))}")
    cleared = config["SESSION_CLEAR_SITE_DATA"]
    listed = isinstance(cleared, list | tuple) and set(cleared) <= set(_DIRECTIVES)
    if not (isinstance(cleared, bool) or listed):
        raise ConfigurationError(
            f"SESSION_CLEAR_SITE_DATA is {cleared!r}: it must be True, False, or a list of some of "
            f"{', '.join(map(repr, _DIRECTIVES))}"
        )


def forbid_storing(response: Response) -> None:
    """Let no cache keep *response*. What the application said about caching stays beside it."""
    if not response.headers.getlist("Cache-Control"):
        response.headers.add("Cache-Control", "no-store")
    elif not response.cache_control.no_store:
        response.cache_control.no_store = True


def clear_site_data(config: Mapping[str, Any], response: Response, *, goes_on: bool) -> None:
    """Tell the browser to clear what the setting says, after a logout. An application's own header stays.

    *goes_on*: the response gives the browser a cookie for what is left of the session, which must stay.
    """
    cleared = config["SESSION_CLEAR_SITE_DATA"]
    if not cleared or "Clear-Site-Data" in response.headers:
        return
    directives = _BY_DEFAULT if cleared is True else cleared
    wanted = [f'"{directive}"' for directive in directives if not (goes_on and directive in _OF_COOKIES)]
    if wanted:
        response.headers["Clear-Site-Data"] = ", ".join(wanted)


def agent_of(request: Request) -> str:
    """Return a hash of what the browser says it is: enough to tell whether it is another, and no more."""
    header = request.headers.get("User-Agent", "").encode("utf-8", "surrogateescape")
    return hashlib.sha256(labelled(b"user agent", header)).hexdigest()[:32]
