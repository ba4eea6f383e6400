"""Tokens in headers over real HTTP: exact bytes to gunicorn, on a SQLite file."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.web import STRANGER
from support.wsgi import Server, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the application, which takes tokens in both places."""
    place = tmp_path_factory.mktemp("store")
    place.chmod(0o700)
    with served(f"sqlite:///{place}/sessions.db", workers=1, threads=4, SESSION_TRANSPORT="both") as server:
        yield server


def ask(server: Server, path: str, *headers: str) -> tuple[int, dict[str, str], str]:
    """Send a request with the lines *headers*, and return the status, the headers and the body of the answer."""
    lines = [f"GET {path} HTTP/1.1", "Host: shop", "Connection: close", *headers, "", ""]
    head, _, body = server.raw("\r\n".join(lines).encode("latin-1")).decode("latin-1").partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    found = {name: value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return int(status.split()[1]), found, body


def owner(server: Server, *headers: str) -> object:
    """Return the owner value of the session that a request with *headers* has."""
    status, _, body = ask(server, "/data", *headers)
    assert status == 200
    return json.loads(body)["owner"]


def test_a_client_signs_in_goes_on_and_signs_out(server: Server) -> None:
    """The token comes in a header that no cache stores, works in that header alone, and is empty after the logout."""
    status, headers, _ = ask(server, "/login?user=ada", "Session-Transport: header")
    assert status == 200
    token = headers["Session-Token"]
    assert (headers["Cache-Control"], "Set-Cookie" in headers) == ("no-store", False)
    assert owner(server, f"Authorization: Bearer {token}") is not None
    assert owner(server, f"authorization:  bearer   {token}  ") is not None
    assert owner(server, f"Cookie: session={token}") is None
    _, headers, _ = ask(server, "/login?user=ada")
    cookie = headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    assert owner(server, f"Authorization: Bearer {cookie}") is None
    assert owner(server, f"Cookie: session={cookie}", "Authorization: Bearer broken") is None
    assert owner(server, f"Cookie: session={cookie}") is not None
    _, headers, _ = ask(server, "/logout", f"Authorization: Bearer {token}", f"Cookie: session={cookie}")
    assert (headers["Session-Token"], "Set-Cookie" in headers) == ("", False)
    assert owner(server, f"Authorization: Bearer {token}") is None
    assert owner(server, f"Cookie: session={cookie}") is not None


@pytest.mark.parametrize(
    "lines",
    [
        [f"Authorization: Bearer {STRANGER}", f"Authorization: Bearer {STRANGER}"],
        [f"Authorization: Bearer {STRANGER}, Bearer {STRANGER}"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer ÿ\x7f"],
        ["Authorization: Bearer " + "A" * 6000],
        ["Authorization: Bearer\t" + STRANGER + "="],
    ],
)
def test_no_header_makes_the_server_fail_or_write(server: Server, lines: list[str]) -> None:
    """What cannot be a token is answered as without a session, or refused by the server; nothing is given out."""
    status, headers, _ = ask(server, "/put?a=1", *lines)
    assert status in {200, 400}
    assert not {"Session-Token", "Set-Cookie"} & set(headers)
