"""uWSGI: a process that loads the application, uses it, and forks without notifying Python."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import Server as Database
from support.wsgi import Client, Server, served

_UWSGI = shutil.which("pyuwsgi", path=str(Path(sys.executable).parent))

pytestmark = pytest.mark.skipif(_UWSGI is None, reason="pyuwsgi is not installed: it has wheels for Linux on x86-64")


def _command(workers: int, threads: int, app: str, listener: int) -> list[str]:
    # Its plain HTTP socket keeps no connection, and does not say so.
    options = ["--add-header", "Connection: close", "--disable-logging", "--need-app", "--die-on-term", "--master"]
    processes = ["--processes", str(workers), "--threads", str(threads)]
    return [str(_UWSGI), "--http-socket", f"fd://{listener}", "--module", app, *processes, *options]


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Return two processes with four threads each, forked after a request."""
    url = f"sqlite:///{tmp_path}/sessions.db"
    if request.param == "redis":
        database: Database = request.getfixturevalue("redis_server")
        url = f"{database.url}?max_connections=8"
    with served(url, app="support.warm:create_app()", threads=4, command=_command) as running:
        yield running


def test_processes_that_were_forked_after_a_request_share_the_sessions(server: Server) -> None:
    """Every increment of parallel requests is counted, a logout holds, and nobody finds another's session."""
    with server.client() as client:
        assert client.visit("/login?user=ada").status == 200
        cookie = client.cookie

    def count(browser: Client) -> list[int]:
        return [browser.get("/hit").status for _ in range(20)]

    assert server.together([count] * 8, cookie) == [[200] * 20] * 8
    with server.client(cookie) as client:
        assert client.data()["hits"] == 160
        client.get("/logout")
        assert client.data() == {}
