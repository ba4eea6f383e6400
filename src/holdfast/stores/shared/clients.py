"""Clients of servers and their connections: the checks of a given one, the limits of idle ones, and their faults."""

from __future__ import annotations

import inspect
import os
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from holdfast.errors import ConfigurationError

T = TypeVar("T")

#: The seconds that a connection may be idle: firewalls drop some after a minute, and notify neither end.
LONGEST_IDLE = 60.0

#: TCP's keepalive, in seconds and tries: a lost network is found within a minute.
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 30, 10, 3


# What Python's ssl, OpenSSL and the drivers say, which nothing translates, of certificates and their files; of an
# answer without TLS; of a handshake that was cut or never answered, as by a server that does not know it; of a socket
# whose permissions forbid its use; and of another protocol.
_CERTIFICATE = re.compile(
    r"certificate[ _](verify[ _]failed|required)|certificate for .* does not match|no certificate or crl found|PEM lib"
    r"|key values mismatch|could not (read|load) .* file|certificate file .* does not exist|certfile should be",
    re.IGNORECASE,
)
_NO_TLS = re.compile(r"server does(n't| not) support (SSL|it)|wrong[ _]version[ _]number", re.IGNORECASE)
_CUT = re.compile(r"handshake|\bSSL\b|_ssl\.c")
_RESET = re.compile(r"reset by peer|[Cc]onnection (was )?closed|UnexpectedClose")
_FORBIDDEN = re.compile(r"\b(Errno|Error) 13\b|failed: Permission denied")
_FOREIGN = re.compile(
    r"as reply type byte|-ERR unknown command|Got response id \d+ but|invalid response to SSL negotiation"
)


def is_mistake(error: object) -> bool:
    """Return whether a driver's *error* is about TLS, a certificate, another kind of server, or a socket's permissions.

    Waiting cures none of them.
    """
    return any(pattern.search(str(error)) for pattern in (_CERTIFICATE, _NO_TLS, _FORBIDDEN, _FOREIGN))


def likely_fix(error: BaseException | None, *, use: str, omit: str) -> str:
    """Return the end of the message about a driver's *error*, if TLS or the address may be the reason, or ``""``.

    *use* and *omit* are what to change for a connection with and without TLS.
    """
    texts = []
    while error is not None:
        texts.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    text = " ".join(texts)
    if _CERTIFICATE.search(text):
        return ""
    if _FOREIGN.search(text):
        return "; another kind of server answers there: correct the host or the port in the URL"
    if _NO_TLS.search(text):
        return f"; the server does not speak TLS there: {omit}"
    if _CUT.search(text):
        return f"; if the server does not speak TLS there, {omit}"
    return f"; if the server speaks TLS there, {use}" if _RESET.search(text) else ""


def keepalive_options() -> dict[int, int]:
    """Return the options of a TCP socket for the keepalive, where the system has them."""
    values = {"TCP_KEEPIDLE": KEEPALIVE_IDLE, "TCP_KEEPINTVL": KEEPALIVE_INTERVAL, "TCP_KEEPCNT": KEEPALIVE_COUNT}
    return {getattr(socket, name): value for name, value in values.items() if hasattr(socket, name)}


def class_name(client: Any) -> str:
    """Return the full name of the class of *client*, for messages."""
    return f"{type(client).__module__}.{type(client).__qualname__}"


def has_method(client: Any, name: str) -> bool:
    """Return whether *client* has the method *name*."""
    # A class is no client. And some objects have every attribute: on MongoDB's client each is a database.
    ask_class = isinstance(client, type) or hasattr(client, "an_attribute_of_no_client")
    owner = type(client) if ask_class else client
    return callable(getattr(owner, name, None))


def require_methods(client: Any, names: Iterable[str], *, kind: str, give: str) -> None:
    """Refuse *client* if it lacks one of the methods *names*, or is asynchronous: its methods are, or it has a loop.

    The message names its class, *kind*, such as ``"Redis"``, and what to *give* in its place.
    """
    missing = [name for name in names if not has_method(client, name)]
    if missing:
        raise ConfigurationError(
            f"{class_name(client)} is no {kind} client, it has no {' and no '.join(missing)}: give {give}"
        )
    has_loop = has_method(client, "get_io_loop")  # as Motor's clients have
    if has_loop or any(inspect.iscoroutinefunction(getattr(client, name)) for name in names):
        raise ConfigurationError(f"{class_name(client)} is asynchronous: give {give}")


class PerProcess(Generic[T]):
    """What *make* returns, once for each process, when it is first used: connections do not survive a fork.

    Of two threads that are here at once, one's is used, and the other's never connects.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """Return that of this process."""
        made = self.present()
        return self._made.setdefault(os.getpid(), self._make()) if made is None else made

    def present(self) -> T | None:
        """Return that of this process, or None: it was not used yet."""
        return self._made.get(os.getpid())

    def pop(self) -> T | None:
        """Return that of this process, or None, and make another when it is used again."""
        return self._made.pop(os.getpid(), None)


def drain(idle: Any, close: Callable[[Any], object]) -> None:
    """Close every connection in *idle*, a deque that other threads use as well."""
    with suppress(IndexError):
        while True:
            close(idle.pop())
