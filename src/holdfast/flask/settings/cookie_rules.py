"""Settings of the cookie that browsers would not accept, refused at start-up: RFC 6265bis, layered cookies, CHIPS."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from werkzeug.wrappers import Response

from holdfast.flask.settings.setting import InvalidValue, flask_switch

#: RFC 6265bis §4.1.1: the characters of a cookie's name.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

#: RFC 6265bis §5.6: a cookie whose name and value exceed this many bytes is ignored.
LARGEST = 4096

#: RFC 6265bis §5.6: an attribute whose value is longer than this many bytes is ignored.
_LONGEST_VALUE = 1024

#: Whether this Werkzeug can make a partitioned cookie.
KNOWS_PARTITIONED = "partitioned" in inspect.signature(Response.set_cookie).parameters

_LABEL = re.compile(r"[0-9a-z_](?:[0-9a-z_-]*[0-9a-z_])?", re.ASCII | re.IGNORECASE)

#: What each prefix of a name demands of a cookie. Browsers match prefixes in any case. The longer ones come first.
_SECURE = {"secure": True}
_HOST: dict[str, Any] = {**_SECURE, "path": "/", "domain": None}
_PREFIXES: dict[str, dict[str, Any]] = {
    "__host-http-": {**_HOST, "httponly": True},
    "__host-": _HOST,
    "__http-": {**_SECURE, "httponly": True},
    "__secure-": _SECURE,
}


def cookie_name(value: Any) -> str:
    """Return *value*, which must be a name that a cookie can have."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidValue("a cookie's name is made of ASCII letters, digits and !#$%&'*+-.^_`|~ alone")
    return value


def cookie_names(value: Any) -> tuple[str, ...]:
    """Return *value*, which must be a list of names that cookies can have."""
    if not isinstance(value, list | tuple):
        raise InvalidValue("it must be a list of names of cookies, such as ['session']")
    return tuple(cookie_name(name) for name in value)


def same_site(value: Any) -> str:
    """Return *value*, which must be one that browsers know, in their spelling."""
    known = str(value).title()
    if known not in {"Strict", "Lax", "None"}:
        raise InvalidValue("it must be 'Lax', 'Strict', 'None', or unset")
    return known


def domain(value: Any) -> str | None:
    """Return the domain *value* in ASCII, or None if it is falsy. It must be a valid domain of a host.

    A port is omitted, as Werkzeug omits it from the cookie.
    """
    if not value:
        return None
    host = _attribute(value).partition(":")[0].lstrip(".")
    if "/" in value:
        raise InvalidValue("it must be a domain alone, such as 'example.com', without scheme and path")
    try:
        labels = host.encode("idna").decode("ascii").split(".")
    except UnicodeError:
        labels = []
    if not all(map(_LABEL.fullmatch, labels)):
        labels = []
    if len(labels) < 2 and labels != ["localhost"]:
        raise InvalidValue(
            "browsers drop a cookie with such a domain. It must be one of two names or more, such as 'example.com'"
        )
    return ".".join(labels)


def partitioned(value: Any) -> bool:
    """Return whether the cookie is to be partitioned, which requires a recent Werkzeug."""
    if flask_switch(value) and not KNOWS_PARTITIONED:
        raise InvalidValue("it needs Werkzeug 3.1 or later: upgrade, or unset it")
    return bool(value)


def path(value: Any) -> str | None:
    """Return the path *value*, or None if it is falsy. It must begin with a slash."""
    if not value:
        return None
    if not _attribute(value).startswith("/"):
        raise InvalidValue("browsers ignore a path that does not begin with '/'")
    return str(value)


def _attribute(value: Any) -> str:
    """Return *value*, which must be text that fits into an attribute of a Set-Cookie header."""
    if not isinstance(value, str):
        raise InvalidValue("it must be text, or unset")
    if ";" in value or any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise InvalidValue("it must hold no semicolon and no control character")
    if len(value.encode()) > _LONGEST_VALUE:
        raise InvalidValue(f"it is {len(value.encode())} bytes long, and browsers ignore more than {_LONGEST_VALUE}")
    return value


def contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield each contradiction among the settings of the session cookie in *config*, with the setting to change.

    Each setting by itself is valid. Nothing is yielded for a cookie that browsers accept.
    """
    yield from _by_prefix(config)
    try:
        path(None if config["SESSION_COOKIE_PATH"] else config["APPLICATION_ROOT"])
    except InvalidValue as error:
        yield f"APPLICATION_ROOT is {config['APPLICATION_ROOT']!r}: {error}. Set SESSION_COOKIE_PATH"
    if config["SESSION_COOKIE_SECURE"]:
        return
    site = config["SESSION_COOKIE_SAMESITE"]
    for name, needs_secure, cookie in (
        ("SESSION_COOKIE_SAMESITE", site is not None and same_site(site) == "None", "such a cookie"),
        ("SESSION_COOKIE_PARTITIONED", config.get("SESSION_COOKIE_PARTITIONED"), "a partitioned cookie"),
    ):
        if needs_secure:
            yield (
                f"{name} is {config[name]!r}: browsers drop {cookie} without Secure. Set SESSION_COOKIE_SECURE to True"
            )


def path_of(config: Mapping[str, Any]) -> str:
    """Return the path of the cookie, as Flask chooses it."""
    return str(config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"])


def prefix_of(name: str) -> str:
    """Return the prefix of a cookie's name that browsers enforce, in lower case; empty without one."""
    return next((prefix for prefix in _PREFIXES if name.lower().startswith(prefix)), "")


def demands_of(name: str) -> dict[str, Any]:
    """Return the attributes without which browsers ignore a cookie *name*, and its deletion."""
    return _PREFIXES.get(prefix_of(name), {})


def _by_prefix(config: Mapping[str, Any]) -> Iterator[str]:
    name = config["SESSION_COOKIE_NAME"]
    prefix = prefix_of(name)
    demands = demands_of(name)
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
