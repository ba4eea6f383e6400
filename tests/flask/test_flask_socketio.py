"""Flask-SocketIO: its events use the session of their connection's browser."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import Web, end, rotate

from holdfast.events import ended
from holdfast.flask import session


class Sockets:
    """Events of one browser of an application.

    Attributes:
        web: The application, whose browser connects.
    """

    def __init__(self, web: Web) -> None:
        from flask_socketio import SocketIO, join_room

        self.web = web
        self._socketio = SocketIO(web.app, async_mode="threading", manage_session=False)
        self._socketio.on_event("count", self._count)
        self._socketio.on_event("read", lambda: {"n": session.get("n"), "valid": session.still_valid()})

        self._socketio.on_event("name", lambda name: session.update(username=name))
        self._socketio.on_event("connect", lambda: session.owner and join_room(session.owner))
        ended.connect(self._push, web.app)

    def _push(self, _app: object, owner: str | None = None, **details: Any) -> None:
        del details
        if owner is not None:
            self._socketio.emit("session ended", to=owner)

    def _count(self) -> Any:
        return session.apply("n", lambda n: n + 1, default=0)

    def connect(self) -> Any:
        """Return a connection of the browser."""
        return self._socketio.test_client(self.web.app, flask_test_client=self.web.browser)

    def connect_as(self, user: str) -> Any:
        """Return a connection of another browser, in which *user* is signed in."""
        browser = self.web.app.test_client()
        self.web.do(lambda: session.bind(user), browser)
        return self._socketio.test_client(self.web.app, flask_test_client=browser)


@pytest.fixture
def sockets(web: Web) -> Sockets:
    """Return the events of an application."""
    return Sockets(web)


def test_events_and_requests_share_the_session(sockets: Sockets) -> None:
    """Each finds what the others stored, and counts exactly."""
    sockets.web.put(n=0)
    connections = [sockets.connect() for _ in range(2)]
    assert [connection.emit("count", callback=True) for connection in (*connections, *connections)] == [1, 2, 3, 4]
    assert sockets.web.data() == {"n": 4}


@pytest.mark.parametrize("way", [end, rotate])
def test_an_event_after_the_end_finds_no_session(sockets: Sockets, way: Any) -> None:
    """A connection under an id that is over reads nothing, stores nothing, and knows that it is over."""
    sockets.web.put(n=0)
    connection = sockets.connect()
    assert connection.emit("read", callback=True) == {"n": 0, "valid": True}
    sockets.web.do(way)
    left = sockets.web.records()
    assert connection.emit("read", callback=True) == {"n": None, "valid": False}
    connection.emit("count", callback=True)
    assert sockets.web.records() == left


def test_an_event_without_a_cookie_stores_nothing(sockets: Sockets) -> None:
    """A session that an event would begin has no response for its cookie: nobody could open it."""
    connection = sockets.connect()
    assert connection.emit("count", callback=True) == 1
    assert connection.emit("count", callback=True) == 1
    assert sockets.web.records() == 0


def test_an_event_does_not_renew(sockets: Sockets) -> None:
    """A renewal that is due waits for a request whose response can carry the new id."""
    sockets.web.app.config["SESSION_RENEWAL_INTERVAL"] = 60
    sockets.web.put(n=0)
    connection = sockets.connect()
    sockets.web.clock.advance(61)
    before = sockets.web.token()
    assert [connection.emit("count", callback=True) for _ in range(2)] == [1, 2]
    assert sockets.web.data() == {"n": 2}
    assert sockets.web.token() != before


@pytest.mark.parametrize("kind", ["event", "WebSocket"])
def test_a_login_where_no_cookie_can_be_sent_is_logged(
    sockets: Sockets, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A nickname under a key of a user's id is a login, after which its browser has no session: the log says why."""
    web = sockets.web
    web.put(n=0)
    if kind == "event":
        sockets.connect().emit("name", "ada", callback=True)
    else:
        web.do(lambda: session.update(username="ada"), environ_overrides={"HTTP_UPGRADE": "websocket"})
    assert caplog.text.count("where no cookie can be sent") == 1
    assert "SESSION_IDENTITY_KEYS" in caplog.text


def test_an_end_can_be_pushed(sockets: Sockets) -> None:
    """The signal of an end reaches the connections of that user, which find out whether it is theirs."""
    sockets.web.do(lambda: session.bind("ada"))
    connection, stranger = sockets.connect(), sockets.connect_as("bob")
    sockets.web.sessions.revoke_all("ada")
    assert [message["name"] for message in connection.get_received()] == ["session ended"]
    assert stranger.get_received() == []
    assert connection.emit("read", callback=True)["valid"] is False
    assert stranger.emit("read", callback=True)["valid"] is True
