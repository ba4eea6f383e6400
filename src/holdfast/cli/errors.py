"""One-line errors: the problem and the server, without credentials."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

import click

from holdfast.cli.output import printable
from holdfast.errors import ConfigurationError, HoldfastError, StoreUnavailable

#: The default ports of servers, by the URL's scheme without the part after a ``+``.
_PORTS = {
    "memcached": "11211",
    "mongodb": "27017",
    "postgresql": "5432",
    **dict.fromkeys(("mysql", "mariadb"), "3306"),
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), "6379"),
}

#: The errors of a full disk or a broken one under the output; stores report their own.
_UNWRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

_OUTAGE = "is the server running, and its URL right?"
_USER_INFO = re.compile(r"//[^/\s]*@")


class OneLine(click.ClickException):
    """An error that is reported in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.split())))


class Misuse(OneLine):
    """A usage error."""

    exit_code = 2


@contextlib.contextmanager
def in_one_line(context: click.Context) -> Iterator[None]:
    """Turn every error of Holdfast and of click into one line. An outage is that of the context's target."""
    try:
        with _unlogged():
            yield
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # click before 8.2 has no such class
            raise
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        raise Misuse(f"{error.format_message().rstrip('.')}{where}") from None
    except HoldfastError as error:
        line = str(error)
        if isinstance(error, StoreUnavailable) and not isinstance(error, ConfigurationError):
            url = getattr(context.obj, "url", None) or ""
            line = outage(error, (url,)).message
            if _server_of(url).host:
                line += f": {'correct the URL of the store, or what its user may do' if error.permanent else _OUTAGE}"
        raise OneLine(line) from error
    except OSError as error:
        if error.errno not in _UNWRITTEN:
            raise
        # What is in its buffer would be tried again at the end.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        raise OneLine(f"the output cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Log no error inside the block: the command reports it."""

    def passes(record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR

    logger = logging.getLogger("holdfast")
    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)


def outage(error: StoreUnavailable, urls: Sequence[str]) -> OneLine:
    """Return the line about a store that failed: the server, and the driver's message, without credentials.

    *error* was raised from the driver's. *urls* are those of the stores in use, if known.
    """
    message = error.explained
    servers = [server for server in map(_server_of, urls) if server.host]
    for secret in (secret for server in servers for secret in server.secrets):
        message = message.replace(secret, "***")
    names_file = any(path and path in message for path in map(_file_of, urls))
    if servers and not (names_file or any(server.host in message and server.port in message for server in servers)):
        message = f"{message} (at {' or '.join(f'{server.host}:{server.port}' for server in servers)})"
    return OneLine(_USER_INFO.sub("//***@", message))


def _file_of(url: str) -> str:
    """Return the end of the path in *url*, which the message about a file has; empty for a server."""
    _, _, rest = url.partition("://")
    return unquote(rest.partition("?")[0]).lstrip("/") if rest.startswith("/") else ""


class _Server(NamedTuple):
    host: str
    port: str
    secrets: set[str]


def _server_of(url: str) -> _Server:
    """Return the server in *url*; the host is empty for a file."""
    scheme, _, rest = url.partition("://")
    # An unescaped password may contain any of "/?#".
    user_info, _, place = rest.rpartition("@")
    address, _, query = place.partition("?")
    host, _, port = address.partition("/")[0].rpartition(":")
    if not host or "]" in port:
        host, port = f"{host}:{port}" if host else port, _PORTS.get(scheme.partition("+")[0], "")
    password = user_info.partition(":")[2]
    secrets = {value for name, value in parse_qsl(query) if "pass" in name.lower()}
    return _Server(host, port, {*secrets, password, unquote(password)} - {""})
