"""The servers for tests: each starts, hangs, dies, comes back and leaves no process or file behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support import databases, servers

SERVERS = {
    "redis": servers.start_redis,
    "memcached": servers.start_memcached,
    "mariadb": databases.start_mariadb,
    "postgresql": databases.start_postgres,
    "mongodb": databases.start_mongod,
}


def is_open(address: tuple[str, int]) -> bool:
    """Return whether a server listens at *address*."""
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


@pytest.mark.parametrize("name", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in SERVERS])
def test_a_server_dies_comes_back_and_leaves_nothing(name: str) -> None:
    """A killed server does not listen, a restarted one does at the same place, a stopped one leaves no folder."""
    server = SERVERS[name]()
    try:
        assert is_open(server.address)
        server.pause()
        server.resume()
        server.kill()
        assert not is_open(server.address)
        server.restart()
        assert is_open(server.address)
    finally:
        server.stop()
    assert not is_open(server.address)
    assert not server.folder.exists()


@pytest.mark.redis
def test_a_server_that_does_not_start_shows_its_log() -> None:
    """The error says what the server wrote, and the process is gone."""
    with pytest.raises(RuntimeError) as caught:
        servers.start_redis("--no-such-option", "1")
    _, _, written = str(caught.value).partition("\n")
    assert "no-such-option" in written


def test_a_program_is_found_outside_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs are found by PATH and where Debian keeps servers; one that is not there is None."""
    (tmp_path / "holdfast-tool").touch(0o755)
    assert servers.find_program("holdfast-tool") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert servers.find_program("holdfast-tool") == str(tmp_path / "holdfast-tool")
