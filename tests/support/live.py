"""An application with handlers that outlast a request; ``HOLDFAST_SHOP`` holds its settings as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response, request, stream_with_context

from holdfast.flask import Session, session

#: The close code of a WebSocket after a policy violation (RFC 6455 §7.4.1).
POLICY_VIOLATION = 1008


def create_app() -> Flask:
    """Return the application."""
    from flask_sock import Sock

    app = Flask("live", static_folder=None)
    app.config.update(SECRET_KEY="not a secret", **json.loads(os.environ["HOLDFAST_SHOP"]))
    Session(app)
    views: list[Callable[[], Any]] = [login, logout, others, ticks, who]
    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    Sock(app).route("/echo")(echo)
    return app


def login() -> str:
    """Bind the session to a user."""
    session.bind(request.args["user"])
    return "done"


def logout() -> str:
    """End the session."""
    session.destroy()
    return "done"


def others() -> str:
    """End the user's other sessions."""
    return str(session.revoke_others())


def who() -> str:
    """Return whether a user is signed in."""
    return "somebody" if session.owner else "nobody"


def echo(socket: Any) -> None:
    """Send back each message, for as long as the session lives."""
    while True:
        message = socket.receive()
        if not session.still_valid():
            socket.close(POLICY_VIOLATION, "signed out")
        socket.send(message)


def ticks() -> Response:
    """Send events, for as long as the session lives."""

    def events() -> Iterator[str]:
        for number in range(10_000):
            if not session.still_valid():
                yield "event: signed-out\ndata:\n\n"
                return
            yield f"data: {number}\n\n"
            time.sleep(0.02)

    return Response(stream_with_context(events()), mimetype="text/event-stream")
