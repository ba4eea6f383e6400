"""A port whose name can move to another server, as that of a primary does at a failover, and lose connections."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Name:
    """Leads each new connection to *server*, a host and a port. Those that are open stay where they are.

    Attributes:
        port: Where clients connect, on 127.0.0.1.
        opened: The number of connections so far.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._ends: list[socket.socket] = []
        self._lost: set[socket.socket] = set()
        self.opened = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def move(self, server: tuple[str, int]) -> None:
        """Lead new connections to *server*."""
        self._server = server

    def lose(self) -> None:
        """Swallow all data on the connections that are open, and close none of them, as a firewall does."""
        self._lost.update(self._ends)

    def close(self) -> None:
        """Close the port and every connection."""
        for end in [self._listener, *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.opened += 1
                server = socket.create_connection(self._server)
                self._ends += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if source not in self._lost:
                    target.sendall(data)
        for end in (source, target):
            if end not in self._lost:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
