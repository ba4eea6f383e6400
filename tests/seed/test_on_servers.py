"""The small programs of long ago that use Redis, memcached and MongoDB run on the real servers."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.servers import Server

HERE = Path(__file__).parent


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Return a function that starts a program afresh and returns its module, whose client is closed in the end."""
    clients: list[Any] = []

    def start(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"{name}_{uuid.uuid4().hex}", HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        clients.append(module.app.config["SESSION_" + name.upper()])
        return module

    yield start
    for client in clients:
        (client.disconnect_all if type(client).__module__ == "memcache" else client.close)()


def outlives_the_server(start: Callable[[], Flask], *, lifetime: int = 2678400) -> None:
    """Check that what a browser put into its session is there when the program is started anew, and for it alone."""
    browser = start().test_client()
    assert browser.get("/k1").text == "nothing"
    response = browser.get("/index")
    assert response.text == "xx"
    assert f"Max-Age={lifetime};" in response.headers["Set-Cookie"]
    cookie = browser.get_cookie("session")
    assert cookie is not None
    again = start()
    returning, stranger = again.test_client(), again.test_client()
    returning.set_cookie("session", cookie.value)
    assert returning.get("/k1").text == "v1"
    assert stranger.get("/k1").text == "nothing"


@pytest.mark.redis
def test_the_redis_program_runs(
    start: Callable[[str], Any], redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one import changed, sessions outlive the program in the database it names, and their tokens are signed."""
    monkeypatch.setenv("REDIS", str(redis_server.address[1]))
    client = start("redis").app.config["SESSION_REDIS"]
    before = client.dbsize()
    outlives_the_server(lambda: start("redis").app, lifetime=7200)
    assert client.dbsize() == before + 1
    browser = start("redis").app.test_client()
    browser.get("/index")
    assert "." in browser.get_cookie("session").value


@pytest.mark.memcached
def test_the_memcached_program_runs(
    start: Callable[[str], Any], memcached_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With python-memcached's client and one import changed, sessions outlive the program in memcached."""
    monkeypatch.setenv("MEMCACHED", "{}:{}".format(*memcached_server.address))
    outlives_the_server(lambda: start("memcached").app)


@pytest.mark.mongodb
def test_the_mongodb_program_runs(
    start: Callable[[str], Any], mongodb_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one import changed, sessions outlive the program in the database and the collection it names."""
    monkeypatch.setenv("MONGODB", mongodb_server.url)
    sessions = start("mongodb").client["blog"]["session"]
    before = sessions.count_documents({})
    outlives_the_server(lambda: start("mongodb").app)
    assert sessions.count_documents({}) == before + 1
