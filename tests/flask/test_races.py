"""Races over HTTP: two processes of a real WSGI server, on one store.

``HOLDFAST_TEST_INCREMENTS`` sets the number of parallel increments: the default is 2,000.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.wsgi import Answer, Client, Server, served

INCREMENTS = int(os.environ.get("HOLDFAST_TEST_INCREMENTS", "2000"))

pytestmark = pytest.mark.timeout(60 + INCREMENTS // 50)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return two processes on one SQLite file."""
    with served(f"sqlite:///{tmp_path_factory.mktemp('races')}/sessions.db") as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite:///{}/s.db", "file:///{}/s", "json:///{}/s.json"])
def embedded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return two processes on each embedded store that processes can share."""
    with served(request.param.format(tmp_path_factory.mktemp("races"))) as server:
        yield server


def begin(server: Server, path: str = "/put?a=1") -> str:
    """Return the cookie of a new session."""
    with server.client() as client:
        client.visit(path)
        assert client.cookie is not None
        return client.cookie


def data(server: Server, cookie: str) -> dict[str, Any]:
    """Return the data that *cookie* leads to."""
    with server.client(cookie) as client:
        return client.data()


def test_no_increment_and_no_other_key_is_lost(server: Server) -> None:
    """Thousands of parallel increments of one counter, among writes of other keys, are all counted and all kept."""
    cookie, clients = begin(server), 8
    each = INCREMENTS // clients

    def job(number: int) -> Callable[[Client], None]:
        def run(client: Client) -> None:
            for step in range(each):
                assert client.get("/hit").status == 200
                if step % 10 == 0:
                    assert client.get(f"/put?key{number}={step}").status == 200

        return run

    server.together([job(number) for number in range(clients)], cookie)
    last = str((each - 1) // 10 * 10)
    assert data(server, cookie) == {
        "a": "1",
        "hits": each * clients,
        **{f"key{number}": last for number in range(clients)},
    }


def test_a_careless_store_is_caught(tmp_path: Path) -> None:
    """The same requests do lose changes on a store that writes over whatever is there: the test is alive."""
    with served(f"careless:{tmp_path}/sessions.db") as server:
        cookie = begin(server)
        server.together([_getting("/hit")] * 20, cookie)
        for _ in range(20):
            server.together([_getting(f"/put?k{number}=v") for number in range(8)] + [_getting("/hit")] * 8, cookie)
        found = data(server, cookie)
    assert found["hits"] < 180


def test_twenty_writers_of_twenty_keys(embedded: Server) -> None:
    """Twenty requests at once that each set another key all keep theirs."""
    for _ in range(3):
        cookie = begin(embedded)
        embedded.together([_getting(f"/put?k{number}=v") for number in range(20)], cookie)
        assert data(embedded, cookie) == {"a": "1", **{f"k{number}": "v" for number in range(20)}}


def test_ten_appends_to_one_list(embedded: Server) -> None:
    """Ten requests at once that each append to a list inside the session all keep their item."""
    for _ in range(3):
        cookie = begin(embedded)
        embedded.together([_getting(f"/append?item={number}") for number in range(10)], cookie)
        assert sorted(data(embedded, cookie)["items"]) == sorted(str(number) for number in range(10))


def _getting(path: str) -> Callable[[Client], Answer]:
    def job(client: Client) -> Answer:
        answer = client.get(path)
        assert answer.status == 200
        return answer

    return job


LATE = ["put&b=2", "hit", "rotate", "login&user=bob", "read"]


def overtake(server: Server, cookie: str, winner: str, folder: Path) -> tuple[Answer, list[Answer]]:
    """Send *winner* when slow requests with the same *cookie* have loaded the session; return its answer and theirs.

    They continue after *winner* was answered. Files in *folder* signal that.
    """
    go, loaded = folder / "go", [folder / str(number) for number in range(len(LATE))]

    def first(client: Client) -> Answer:
        while not all(file.exists() for file in loaded):
            time.sleep(0.005)
        answer = client.get(winner)
        go.touch()
        return answer

    def then(what: str, file: Path) -> Callable[[Client], Answer]:
        return lambda client: client.get(f"/slow?loaded={file}&go={go}&then={what}")

    answer, *late = server.together([first, *map(then, LATE, loaded)], cookie)
    for file in (go, *loaded):
        file.unlink()
    return answer, late


@pytest.mark.parametrize("permanent", [False, True], ids=["until the browser closes", "permanent"])
def test_a_logout_holds_against_requests_in_flight(server: Server, permanent: bool, tmp_path: Path) -> None:
    """No request under way during a logout revives the session or sends a cookie; another user begins a session."""
    for _ in range(10):
        cookie = begin(server, "/login?user=ada")
        if permanent:
            with server.client(cookie) as client:
                client.get("/put?_permanent=1")
        winner, late = overtake(server, cookie, "/logout", tmp_path)
        assert winner.cookie == ""
        cookies = [answer.cookie for answer in late]
        (bobs,) = filter(None, cookies)
        assert cookies.index(bobs) == LATE.index("login&user=bob")
        assert data(server, bobs) == data(server, cookie) == {}


@pytest.mark.parametrize("permanent", [False, True], ids=["until the browser closes", "permanent"])
def test_a_login_holds_against_requests_in_flight_and_late(server: Server, permanent: bool, tmp_path: Path) -> None:
    """No request with the token from before a login changes its session or sends a cookie, in flight or afterwards.

    Except another login, which begins a session of its own.
    """
    for _ in range(10):
        cookie = begin(server, "/put?a=1&_permanent=1" if permanent else "/put?a=1")
        winner, late = overtake(server, cookie, "/login?user=ada", tmp_path)
        assert winner.cookie not in (None, "", cookie)
        afterwards = ("/put?b=2", "/hit", "/login?user=bob", "/data")
        late += server.together([_getting(path) for path in afterwards], cookie)
        for path, answer in zip((*LATE, *afterwards), late, strict=True):
            assert (answer.cookie is not None) == ("login" in path), path
            assert answer.cookie is None or "a" not in data(server, answer.cookie)
        assert data(server, cookie) == {}
        assert data(server, winner.cookie or "")["a"] == "1"


def test_of_logins_at_once_one_takes_the_session_on(server: Server) -> None:
    """Each of parallel logins with one token signs its user in; one keeps the data, and their token is dead."""
    for _ in range(5):
        cookie = begin(server)
        answers = server.together([_getting(f"/login?user={user}") for user in ("ada", "bob", "eve", "joe")], cookie)
        found = [data(server, answer.cookie or "") for answer in answers]
        assert data(server, cookie) == {}
        assert sorted(found, key=len) == [{}, {}, {}, {"a": "1"}]


def test_failures_and_streams_under_load(server: Server) -> None:
    """Requests that fail, or stream to a client that disconnects, save no forbidden change, and block no other."""
    cookie = begin(server)

    def go_away(client: Client) -> None:
        client.get("/noop")
        client._connection.request("GET", "/stream", headers={"Cookie": f"session={cookie}"})
        client._connection.close()

    def fail(client: Client) -> None:
        assert client.get("/fail").status == 500

    server.together([go_away, fail, _getting("/hit")] * 4, cookie)
    found = data(server, cookie)
    assert found["hits"] == 4
    assert "failed" not in found
