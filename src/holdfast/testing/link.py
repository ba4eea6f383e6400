"""A port that leads to a server and can be disturbed, for outage tests with a real server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from holdfast.testing.base import Fault


class Link:
    """Forwards the data between clients and a server, until a `Fault` is simulated. Close it at the end.

    ::

        link = Link(("127.0.0.1", 6379))
        store = open_store(f"redis://127.0.0.1:{link.port}")
        with link.disturb(Fault.REPLY_LOST):
            ...

    Args:
        server: Host and port, or the path of a Unix socket.

    Attributes:
        port: Where clients connect, on 127.0.0.1.
    """

    def __init__(self, server: tuple[str, int] | str) -> None:
        self._server = server
        self._fault: Fault | None = None
        self._meanwhile: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def disturb(self, fault: Fault, *, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
        """Simulate *fault* inside the block.

        A lost request or reply is the next one on any connection; the connection is closed, and the next works.
        *meanwhile* is called before it is closed.
        """
        self._fault, self._meanwhile = fault, meanwhile
        if fault is Fault.DOWN:
            self._drop_all()
        try:
            yield
        finally:
            self._fault = None
            if fault is Fault.SILENT:
                self._drop_all()

    def close(self) -> None:
        """Close the port and every connection."""
        _drop(self._listener)
        self._drop_all()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = self._connect()
                except OSError:
                    _drop(client)
                    continue
                for end in (client, server):
                    if end.family != socket.AF_UNIX:  # a request in two parts does not wait for an acknowledgement
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets |= {client, server}
                for ends in ((client, server, Fault.REQUEST_LOST), (server, client, Fault.REPLY_LOST)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _connect(self) -> socket.socket:
        if self._fault is Fault.DOWN:
            raise ConnectionRefusedError
        if isinstance(self._server, tuple):
            return socket.create_connection(self._server, timeout=None)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        return server

    def _pass_on(self, source: socket.socket, target: socket.socket, loss: Fault) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                fault = self._strike(loss)
                if fault is None:
                    target.sendall(data)
                elif fault is not Fault.SILENT:
                    if fault is loss and self._meanwhile is not None:
                        self._meanwhile()
                    break
        self._drop_these(source, target)

    def _strike(self, loss: Fault) -> Fault | None:
        with self._lock:
            fault = self._fault
            if fault is loss:
                self._fault = None
            return fault if fault in {loss, Fault.DOWN, Fault.SILENT} else None

    def _drop_all(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        self._drop_these(*sockets)

    def _drop_these(self, *sockets: socket.socket) -> None:
        for end in sockets:
            _drop(end)
        with self._lock:
            self._sockets.difference_update(sockets)


def _drop(end: socket.socket) -> None:
    # The shutdown, not the close, wakes a thread that waits in `recv` or `accept`.
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
