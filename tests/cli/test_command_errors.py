"""The reports of commands about a store that fails: the server and the reason, without secrets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import click
import pytest
from support.servers import Server
from support.terminal import Terminal

from holdfast.cli.errors import outage
from holdfast.errors import StoreUnavailable


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port of this machine without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:{port}/0?connect_timeout=0.2",
        "memcached://127.0.0.1:{port}",
        "mongodb://user:hunter2@127.0.0.1:{port}/shop.sessions",
        "postgresql+psycopg://user:hunter2@127.0.0.1:{port}/shop",
        "mysql+pymysql://user:hunter2@127.0.0.1:{port}/shop",
    ],
)
def test_a_refused_connection_names_host_port_and_reason(url: str, closed_port: int) -> None:
    """A server that is not there is named with its port and the system's reason, without the password."""
    error = Terminal(url.format(port=closed_port)).error("show", "0" * 64)
    assert "127.0.0.1" in error
    assert str(closed_port) in error
    assert os.strerror(errno.ECONNREFUSED) in error
    assert "hunter2" not in error


def test_an_error_is_one_line_with_the_oldest_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that fails is reported in one line also where click lacks a class of errors that came with 8.2."""
    monkeypatch.delattr(click.exceptions, "NoArgsIsHelpError", raising=False)
    assert Terminal("memory://").error("show", "0" * 64) == "there is no live session with this handle"


def test_an_unknown_host_is_named(closed_port: int) -> None:
    """A host name that does not resolve is in the line."""
    error = Terminal("redis://:hunter2@host.invalid/0").error("list")
    assert "host.invalid:6379" in error
    assert "hunter2" not in error


def test_a_copy_to_a_server_that_is_not_there_names_it(closed_port: int) -> None:
    """The target of a copy is asked first, and named where it does not answer."""
    error = Terminal(None).error("copy", "memory://", f"memcached://127.0.0.1:{closed_port}")
    assert f"memcached at 127.0.0.1:{closed_port} did not" in error
    assert error.endswith(os.strerror(errno.ECONNREFUSED))


@pytest.mark.postgresql
def test_a_role_that_does_not_exist_is_the_reason(postgresql_server: Server) -> None:
    """A refusal of the server is given in the server's words, which name the role."""
    host, port = postgresql_server.address
    error = Terminal(f"postgresql+psycopg://nobody_here:hunter2@{host}:{port}/postgres").error("list")
    assert "nobody_here" in error
    assert str(port) in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("url", "reason", "line"),
    [
        ("redis://:p%2Fw@h/0", "refused", "down: refused (at h:6379)"),
        ("redis://:p%2Fw@h/0", "h:6379 refused p/w and p%2Fw", "down: h:6379 refused *** and ***"),
        ("redis://user:p/w?@h:1/0", "no", "down: no (at h:1)"),
        ("redis://h1:1,h2:2/0", "no", "down: no (at h1:1,h2:2)"),
        ("redis://[::1]/0", "no", "down: no (at [::1]:6379)"),
        ("redis+sentinel://h:1/name?sentinel_password=secret", "secret", "down: *** (at h:1)"),
        ("sqlite:////srv/sessions.db", "disk is full", "down: disk is full"),
        ("", "dsn postgresql://user:pw@h:1/name is odd", "down: dsn postgresql://***@h:1/name is odd"),
        ("", "no\nDETAIL:  Failing row contains (a secret)", "down: no"),
        ("memcached://h:1", "down", "down (at h:1)"),
        ("redis://h:1", "\x1b[2Jno\nway", "down: �[2Jno way (at h:1)"),
    ],
)
def test_an_outage_is_one_line_without_credentials(url: str, reason: str, line: str) -> None:
    """Server and reason are in the line, each once; passwords and escape sequences are not."""
    error = StoreUnavailable("down")
    error.__cause__ = OSError(reason)
    assert outage(error, [url]).message == line


def test_the_fault_of_a_file_names_no_server() -> None:
    """Where one store of two fails and is a file, the other's address is left out."""
    error = StoreUnavailable("sessions in /srv/copy.db cannot be used: database or disk is full")
    assert outage(error, ["redis://h:1", "sqlite:////srv/copy.db"]).message == str(error)


def test_a_long_reason_is_cut() -> None:
    """A driver that goes on for pages is cut short."""
    error = StoreUnavailable("down")
    error.__cause__ = OSError("x" * 5000)
    assert len(outage(error, []).message) < 250
