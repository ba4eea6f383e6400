"""The options after the question mark of a store's URL: the converter and the valid values of each."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from holdfast.errors import ConfigurationError

#: Converts the text of an option. Raises `ValueError` with the valid values.
Converter: TypeAlias = Callable[[str], Any]

# A limit on a wait is for minutes at most, and no driver's clock overflows.
_MOST_SECONDS = 3600
_MOST = 2**31 - 1
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,10}", re.ASCII)
_OCTAL = re.compile(r"0?[0-7]{3}", re.ASCII)
_HOST = re.compile(r"[\w.-]+|\[[\da-fA-F:.]+(%[\w.-]+)?\]")


def seconds(text: str) -> float:
    """Return the seconds in *text*: more than 0, and at most an hour."""
    value = float(text) if _DECIMAL.fullmatch(text) else 0.0
    if not 0 < value <= _MOST_SECONDS:
        raise ValueError(f"it must be seconds, more than 0 and at most {_MOST_SECONDS}, such as 2.5")
    return value


def whole(least: int = 0) -> Converter:
    """Return a converter for integers of at least *least*."""

    def convert(text: str) -> int:
        value = int(text) if _WHOLE.fullmatch(text) else -1
        if not least <= value <= _MOST:
            raise ValueError(f"it must be a whole number from {least} to {_MOST}")
        return value

    return convert


def file_mode(text: str) -> int:
    """Return the mode for the octal digits *text*: the owner reads and writes, and others do not write."""
    mode = int(text, 8) if _OCTAL.fullmatch(text) else 0
    if mode & 0o602 != 0o600:
        raise ValueError("it must be three octal digits, with 6 for the owner and no right to write for others: 600")
    return mode


def flag(text: str) -> bool:
    """Return whether *text* is 1, and not 0."""
    if text not in {"0", "1"}:
        raise ValueError("it must be 0 or 1")
    return text == "1"


def readable_file(text: str) -> str:
    """Return the path *text* of a file that this process can read, such as a certificate: a driver asks it too late."""
    if not Path(text).is_file() or not os.access(text, os.R_OK):
        raise ValueError("it must be the path of a file that this process can read")
    return text


def one_of(*values: str) -> Converter:
    """Return a converter for one of *values*."""

    def convert(text: str) -> str:
        if text not in values:
            raise ValueError(f"it must be one of {', '.join(values)}")
        return text

    return convert


def split_options(url: str, scheme: str, converters: Mapping[str, Converter]) -> tuple[str, dict[str, Any]]:
    """Return *url* without its query, and the options in the query: see `convert_options`."""
    address, _, query = url.partition("?")
    refuse_password_in_query(query, scheme)
    return address, convert_options(parse_qsl(query, keep_blank_values=True), scheme, converters)


def refuse_password_in_query(query: str, scheme: str) -> None:
    """Refuse a URL whose *query* has an @, since that follows a password with a question mark. Neither is quoted."""
    if "@" in query:
        raise ConfigurationError(
            f"the {scheme} URL has a question mark before its @: write %3F for it, and percent-encode other special "
            "characters of the password too"
        )


def convert_options(
    pairs: Iterable[tuple[str, str]], scheme: str, converters: Mapping[str, Converter]
) -> dict[str, Any]:
    """Return the options in *pairs*, each converted from its text; refuse one that is unknown, twice or not valid."""
    options: dict[str, Any] = {}
    for name, text in pairs:
        if name not in converters:
            raise ConfigurationError(f"a {scheme} store URL has no option {name!r}{did_you_mean(name, converters)}")
        if name in options:
            raise ConfigurationError(f"the {scheme} store URL has the option {name} twice: remove one")
        try:
            options[name] = converters[name](text)
        except ValueError as error:
            raise ConfigurationError(f"the {scheme} store URL's option {name}={text!r} is not valid: {error}") from None
    return options


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about *name*, which is none of the *known* ones."""
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    return (f", did you mean {nearest[0]!r}?" if nearest else ".") + f" Known: {', '.join(known) or 'none'}"


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """Return the host and the port in *text*, or raise `ValueError`; an IPv6 address is in brackets, and keeps them."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default_port)
    if not _HOST.fullmatch(host) or not _WHOLE.fullmatch(port) or not 0 < int(port) < 65_536:
        raise ValueError("a host or a port is not valid")
    return host, int(port)
