"""Serve the shop on 127.0.0.1: ``PORT`` is 5000 unless set, ``STORE`` the URL of a store."""

from __future__ import annotations

import contextlib
import os

from app import create_app
from werkzeug.serving import make_server

from holdfast.errors import ConfigurationError


def main() -> None:
    """Serve until interrupted."""
    try:
        app = create_app(os.environ.get("STORE") or None)
    except ConfigurationError as error:
        raise SystemExit(f"STORE: {error}") from error
    port = os.environ.get("PORT") or "5000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise SystemExit(f"PORT is {port!r}: it must be a number from 1 to 65535")
    server = make_server("127.0.0.1", int(port), app, threaded=True)
    print(f"The shop is open at http://127.0.0.1:{server.port}/ (Ctrl-C closes it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


main()
