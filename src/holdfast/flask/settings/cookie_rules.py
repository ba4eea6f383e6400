"""What a browser drops without a word, and so is refused at start-up instead: RFC 6265bis, layered cookies, CHIPS."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from holdfast.errors import ConfigurationError

#: RFC 6265bis §4.1.1: what a cookie's name is made of.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

#: RFC 6265bis §5.6: a cookie whose name and value exceed this many bytes is ignored.
LARGEST = 4096

#: RFC 6265bis §5.6: an attribute whose value is longer than this many bytes is ignored.
_LONGEST_VALUE = 1024

#: What each prefix of a name demands. Browsers match prefixes in any case. The longer ones come first.
_PREFIXES = {
    "__host-http-": ("secure", "httponly", "path", "domain"),
    "__host-": ("secure", "path", "domain"),
    "__http-": ("secure", "httponly"),
    "__secure-": ("secure",),
}

#: RFC 6265bis §5.5.
_LONGEST_LIFE = timedelta(days=400)


def check(config: Mapping[str, Any]) -> None:
    """Refuse settings that make a cookie which browsers would drop, and warn of a life that they would cut short.

    Raises:
        ConfigurationError: The message names the settings, their values and the fix.
    """
    for contradiction in contradictions(config):
        raise ConfigurationError(contradiction)
    for name in ("PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME"):
        value = config[name]
        if (value if isinstance(value, timedelta) else timedelta(seconds=value)) > _LONGEST_LIFE:
            # Five frames up is whoever called Session(app) or init_app(app).
            warnings.warn(f"{name} is {value}: browsers keep a cookie for at most 400 days", stacklevel=5)


def contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the session cookie by *config*, each with the setting to change. Nothing: it is kept."""
    name = config["SESSION_COOKIE_NAME"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield (
            f"SESSION_COOKIE_NAME is {name!r}: a cookie's name is made of ASCII letters, digits and "
            "!#$%&'*+-.^_`|~ alone"
        )
        return
    yield from _by_prefix(name, config)
    yield from _by_site(config)
    yield from _by_value(config)


def path_of(config: Mapping[str, Any]) -> str:
    """Return the path that the cookie is given, as Flask chooses it."""
    return str(config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"])


def prefix_of(name: str) -> str:
    """Return the prefix of a cookie's name that browsers heed, in lower case; empty without one."""
    return next((prefix for prefix in _PREFIXES if name.lower().startswith(prefix)), "")


def _by_prefix(name: str, config: Mapping[str, Any]) -> Iterator[str]:
    prefix = prefix_of(name)
    demands = _PREFIXES.get(prefix, ())
    dropped = f"browsers drop a cookie named {name!r}"
    if "secure" in demands and not config["SESSION_COOKIE_SECURE"]:
        yield f"SESSION_COOKIE_SECURE is False: {dropped} without Secure. Set it to True, or choose another name"
    if "httponly" in demands and not config["SESSION_COOKIE_HTTPONLY"]:
        yield f"SESSION_COOKIE_HTTPONLY is False: {dropped} without HttpOnly. Set it to True, or choose another name"
    if "domain" in demands and config["SESSION_COOKIE_DOMAIN"]:
        other = name[len(prefix) :]
        other = f"__Http-{other}" if "httponly" in demands else f"__Secure-{other}"
        yield (
            f"SESSION_COOKIE_DOMAIN is {config['SESSION_COOKIE_DOMAIN']!r}: {dropped} with a Domain. Unset it, or, if "
            f"subdomains are to share the cookie, name it {other!r}"
        )
    if "path" in demands and path_of(config) != "/":
        setting = "SESSION_COOKIE_PATH" if config["SESSION_COOKIE_PATH"] else "APPLICATION_ROOT"
        yield f"{setting} is {config[setting]!r}: {dropped} with another Path than '/'. Set SESSION_COOKIE_PATH to '/'"


def _by_site(config: Mapping[str, Any]) -> Iterator[str]:
    site = config["SESSION_COOKIE_SAMESITE"]
    if site is not None and str(site).title() not in {"Strict", "Lax", "None"}:
        yield f"SESSION_COOKIE_SAMESITE is {site!r}: it must be 'Lax', 'Strict', 'None', or unset"
    if config["SESSION_COOKIE_SECURE"]:
        return
    if str(site).title() == "None" and site is not None:
        yield (
            f"SESSION_COOKIE_SAMESITE is {site!r}: browsers drop such a cookie without Secure. "
            "Set SESSION_COOKIE_SECURE to True"
        )
    if config.get("SESSION_COOKIE_PARTITIONED"):
        yield (
            "SESSION_COOKIE_PARTITIONED is True: browsers drop a partitioned cookie without Secure. "
            "Set SESSION_COOKIE_SECURE to True"
        )


def _by_value(config: Mapping[str, Any]) -> Iterator[str]:
    path = "SESSION_COOKIE_PATH" if config["SESSION_COOKIE_PATH"] else "APPLICATION_ROOT"
    for setting in ("SESSION_COOKIE_DOMAIN", path):
        value = config[setting] or ""
        if not isinstance(value, str):
            yield f"{setting} is {value!r}: it must be text, or unset"
        elif ";" in value or any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
            yield f"{setting} is {value!r}: it must hold no semicolon and no control character"
        elif len(value.encode()) > _LONGEST_VALUE:
            yield f"{setting} is {len(value.encode())} bytes long: browsers ignore more than {_LONGEST_VALUE}"
        elif setting == path and not value.startswith("/"):
            yield f"{setting} is {value!r}: browsers ignore a path that does not begin with '/'"
