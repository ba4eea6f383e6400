"""A session that is ended stops its WebSockets and server-sent events, on a real server of several processes."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.live import POLICY_VIOLATION
from support.servers import NotYet, wait_for
from support.wsgi import Client, Server, served

#: Ends the session of the first client from elsewhere; the second is another browser of the same user.
End = Callable[[Client, Client], object]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that keeps sessions in a SQLite file, and renews a session's token with each use."""
    path: Path = tmp_path_factory.mktemp("live")
    url = f"sqlite:///{path}/sessions.db"
    with served(url, app="support.live:create_app()", SESSION_RENEWAL_INTERVAL=0.001) as running:
        yield running


@pytest.fixture
def here(server: Server) -> Iterator[Client]:
    """Return a browser in which Ada is signed in."""
    with server.client() as client:
        client.visit("/login?user=ada")
        yield client


@pytest.fixture
def there(server: Server) -> Iterator[Client]:
    """Return another one."""
    with server.client() as client:
        client.visit("/login?user=ada")
        yield client


def log_out(here: Client, there: Client) -> None:
    """End the session in the same browser, in another tab."""
    here.visit("/logout")


def change_password(here: Client, there: Client) -> None:
    """End the session from another browser."""
    there.visit("/others")


ENDS = pytest.mark.parametrize("end", [log_out, change_password])


def renew(client: Client) -> None:
    """Visit a page with a new token as the result: none is due within two milliseconds of the last one."""
    before = client.cookie
    assert client.visit("/who").body == "somebody"
    if client.cookie == before:
        raise NotYet


def socket_of(server: Server, client: Client) -> Any:
    """Open a WebSocket with a browser's cookie."""
    import simple_websocket

    headers = {"Cookie": f"session={client.cookie}"} if client.cookie else {}
    return simple_websocket.Client(f"ws://127.0.0.1:{server.port}/echo", headers=headers)


def answer_to(socket: Any, message: str) -> str:
    """Send a message, and return the answer."""
    socket.send(message)
    answer: str = socket.receive(timeout=10)
    return answer


@ENDS
def test_a_websocket_is_closed_when_its_session_ends(server: Server, here: Client, there: Client, end: End) -> None:
    """Messages are answered until the session is ended elsewhere; the next one closes the socket."""
    import simple_websocket

    socket = socket_of(server, here)
    assert [answer_to(socket, "one"), answer_to(socket, "two")] == ["one", "two"]
    end(here, there)
    with pytest.raises(simple_websocket.ConnectionClosed) as closed:
        answer_to(socket, "three")
    assert (closed.value.reason, closed.value.message) == (POLICY_VIOLATION, "signed out")


def test_a_websocket_goes_on_through_renewals(server: Server, here: Client) -> None:
    """Other requests that give the session a new token do not close its socket."""
    socket = socket_of(server, here)
    for number in range(4):
        wait_for(partial(renew, here))
        assert answer_to(socket, str(number)) == str(number)
    socket.close()


def test_a_websocket_without_a_session_is_closed(server: Server) -> None:
    """A socket that was opened without a session does not get an answer."""
    import simple_websocket

    with server.client() as stranger, pytest.raises(simple_websocket.ConnectionClosed):
        answer_to(socket_of(server, stranger), "one")


@ENDS
def test_an_event_stream_stops_when_its_session_ends(server: Server, here: Client, there: Client, end: End) -> None:
    """Events come until the session is ended elsewhere; then the stream says so and is over."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/ticks", headers={"Cookie": f"session={here.cookie}"})
    stream = connection.getresponse()
    assert stream.readline() == b"data: 0\n"
    here.cookie = (stream.getheader("Set-Cookie") or "").partition(";")[0].removeprefix("session=") or here.cookie
    end(here, there)
    rest = stream.read().decode()
    assert rest.endswith("event: signed-out\ndata:\n\n")
    connection.close()
