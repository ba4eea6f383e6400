"""Moto's server on the port given, one call at a time: its own threads check a condition, and write afterwards."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple


def main(port: int) -> None:
    """Serve until the process ends."""
    one_at_a_time = threading.Lock()
    backend = DomainDispatcherApplication(create_backend_app)

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with one_at_a_time:
            return list(backend(environ, start_response))

    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # keeps connections
    run_simple("127.0.0.1", port, serve, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
