"""Stores on a disk that is full: a small one of their own, with nothing simulated."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_input.outages import assert_come_back, later
from support.databases import start_mariadb, start_mongod, start_postgres
from support.disk import filled, small_disk
from support.servers import Server, start_redis
from support.web import Web, end

from holdfast.errors import StoreUnavailable
from holdfast.flask import session
from holdfast.stores.contract import Closes
from holdfast.stores.registry import open_store

#: So large that it does not fit beside what is there, and of no use to compress.
NOTE = secrets.token_urlsafe(60_000)


@dataclass(frozen=True)
class Kind:
    """A store on a disk.

    Attributes:
        size: The size of the disk.
        start: Starts the server, if there is one.
        url: Where the store is; without it, where the server is.
        reads: Whether sessions can be read while the disk is full.
        ends: Whether they can be ended then.
        survives: Whether the server does not end itself.
    """

    size: str
    start: Callable[[], Server] | None = None
    url: str = ""
    reads: bool = True
    ends: bool = True
    survives: bool = True


def _start_redis() -> Server:
    return start_redis("--appendonly", "yes", "--appendfsync", "everysec")


def _start_mongod() -> Server:
    # A journal in files of 2 MB, and not of 100, and a checkpoint each second.
    return start_mongod("--wiredTigerEngineConfigString", "log=(file_max=2MB)", "--syncdelay", "1")


KINDS = {
    "sqlite": Kind("2m", url="sqlite:///{}/sessions.db", ends=False),
    "files": Kind("2m", url="file:///{}/sessions"),
    "redis": Kind("2m", _start_redis, ends=False),
    "postgresql": Kind("64m", start_postgres),
    "mariadb": Kind("60m", start_mariadb),
    "mongodb": Kind("40m", _start_mongod, reads=False, ends=False, survives=False),
}


@contextlib.contextmanager
def webs(kind: Kind, folder: Path) -> Iterator[tuple[Callable[[], Web], Server | None]]:
    """Yield a function that makes an application on the store, and its server."""
    server, made = kind.start and kind.start(), list[Web]()
    url = kind.url.format(folder)
    if server is not None:
        host, port = server.address
        url = f"mongodb://{host}:{port}/holdfast?timeoutMS=500" if kind is KINDS["mongodb"] else server.url

    def make() -> Web:
        made.append(Web(lambda clock: open_store(url, root=folder, clock=clock), PROPAGATE_EXCEPTIONS=False))
        return made[-1]

    try:
        yield make, server
    finally:
        for web in made:
            if isinstance(web.memory, Closes):
                web.memory.close()
        if server is not None:
            server.stop()


def sign_in(web: Web, user: str) -> str:
    """Return the token of a new session of *user*."""

    def view() -> None:
        session.bind(user)
        session["note"] = user

    browser = web.app.test_client()
    assert web.do(view, browser).status_code == 200
    return web.token(browser) or ""


def write_until_refused(web: Web, token: str, is_over: Callable[[], bool]) -> int:
    """Return the number of the last write of the session that was acknowledged before one was refused for good."""
    acknowledged = 0
    for number in range(1, 1000):
        response = web.put(web.with_token(token), note=NOTE, count=number)
        if response.status_code == 200:
            acknowledged = number
        else:
            assert_come_back(response, "a write")
            if is_over():
                return acknowledged
    pytest.fail("the disk is never full")


def answers(server: Server | None) -> bool:
    """Return whether anything listens where *server* was."""
    assert server is not None
    with contextlib.suppress(OSError), socket.create_connection(server.address, timeout=1):
        return True
    return False


def assert_ended(web: Web, kind: Kind, token: str) -> None:
    """Log out, with the answer that is the truth."""
    response = web.do(end, web.with_token(token))
    if kind.ends:
        assert response.status_code == 200
        assert later(web, token) == {}
    else:
        assert_come_back(response, "a logout")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=getattr(pytest.mark, name) if KINDS[name].start else ()) for name in KINDS]
)
@pytest.mark.timeout(90)
def test_on_a_full_disk_only_what_needs_room_is_refused(name: str) -> None:
    """Saves are 503, reads and ends work or are 503, nothing acknowledged is lost, and with room all works again."""
    kind = KINDS[name]
    with small_disk(kind.size) as folder, webs(kind, folder) as (make, server):
        web = make()
        writer, reader, leaver = (sign_in(web, user) for user in ("writer", "reader", "leaver"))
        tokens = [sign_in(web, "ada"), sign_in(web, "ada")]
        with filled(folder):
            acknowledged = write_until_refused(web, writer, lambda: kind.survives or not answers(server))
            for process in (web, make()):
                response = process.do(lambda: session["note"], process.with_token(reader))
                assert response.text == "reader" if kind.reads else response.status_code == 503
            assert_ended(web, kind, leaver)
            if kind.ends:
                assert web.sessions.revoke_all("ada") == 2
            else:
                with pytest.raises(StoreUnavailable) as caught:
                    web.sessions.revoke_all("ada")
                assert not caught.value.permanent
        if server is not None and not kind.survives:
            server.restart()
        began = time.monotonic()
        assert later(web, writer).get("count", 0) >= acknowledged
        assert later(web, reader) == {"note": "reader"}
        for token, user in ((leaver, "leaver"), *((token, "ada") for token in tokens)):
            assert later(web, token) == ({} if kind.ends else {"note": user})
            assert web.do(end, web.with_token(token)).status_code == 200
        assert time.monotonic() - began < 10
