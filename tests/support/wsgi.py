"""Real WSGI servers, in processes of their own, and a client that sends exact bytes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from support.servers import until_we_end

_TESTS = Path(__file__).parents[1]
_APP = "support.shop:create_app()"


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: Message
    body: str

    @property
    def cookie(self) -> str | None:
        """The response's value of our cookie, or None without one."""
        for header in self.headers.get_all("Set-Cookie", []):
            name, _, rest = header.partition("=")
            if name == "session":
                return rest.partition(";")[0]
        return None


class Client:
    """One connection to a server, for one thread; it sends *cookie* as the session's."""

    def __init__(self, port: int, cookie: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.cookie = cookie

    def get(self, path: str) -> Answer:
        """Send a GET request and return the answer. The cookie stays as it is."""
        headers = {"Cookie": f"session={self.cookie}"} if self.cookie else {}
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        return Answer(response.status, response.msg, response.read().decode())

    def visit(self, path: str) -> Answer:
        """Do the same, and keep the cookie as a browser does."""
        answer = self.get(path)
        if answer.cookie is not None:
            self.cookie = answer.cookie or None
        return answer

    def data(self) -> dict[str, Any]:
        """Return the data of the session."""
        found: dict[str, Any] = json.loads(self.get("/data").body)["data"]
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int

    @contextmanager
    def client(self, cookie: str | None = None) -> Iterator[Client]:
        """Open a connection."""
        client = Client(self.port, cookie)
        try:
            yield client
        finally:
            client.close()

    def raw(self, request: bytes) -> bytes:
        """Send *request* as it is on a connection of its own, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            received = bytearray()
            try:
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionResetError:  # a server that does not read a bad request to its end
                pass
            return bytes(received)

    def together(self, jobs: Sequence[Callable[[Client], Any]], cookie: str | None) -> list[Any]:
        """Run *jobs* at once, each in a thread and on a connection of its own, and return what they return."""

        def run(job: Callable[[Client], Any]) -> Any:
            with self.client(cookie) as client:
                return job(client)

        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))


def _gunicorn(workers: int, threads: int, app: str, listener: int) -> list[str]:
    options = ["--workers", str(workers), "--threads", str(threads), "--keep-alive", "30", "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener}", *options, app]


@contextmanager
def served(
    store: str,
    *,
    app: str = _APP,
    workers: int = 2,
    threads: int = 8,
    log: IO[bytes] | None = None,
    command: Callable[[int, int, str, int], list[str]] | None = None,
    **config: Any,
) -> Iterator[Server]:
    """Serve *app* with *workers* processes, on the store at a URL, while the block runs.

    They write to *log*, by default where the tests write. *command* returns the one that starts another server than
    gunicorn, for so many processes and threads, the application, and the descriptor of a socket that listens.
    """
    settings = {"SESSION_STORE": store, **config}
    path = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        process = subprocess.Popen(
            [*until_we_end(), *(command or _gunicorn)(workers, threads, app, listener.fileno())],
            env={**os.environ, "HOLDFAST_SHOP": json.dumps(settings), "PYTHONPATH": os.pathsep.join(path)},
            pass_fds=[listener.fileno()],
            stderr=log,
        )
        port = listener.getsockname()[1]
    try:
        yield Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
