"""A server on a port for what no browser sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from support.application import Site
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # Werkzeug's name
        """Say nothing."""


@contextmanager
def listening(site: Site) -> Iterator[Callable[..., bytes]]:
    """Serve *site* on a port; give what sends bytes there, and returns the answer, or hangs up before it."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def raw(request: bytes, *, hang_up: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
            connection.sendall(request)
            if hang_up:
                return b""
            connection.shutdown(socket.SHUT_WR)
            received = bytearray()
            try:
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
            return bytes(received)

    try:
        yield raw
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
