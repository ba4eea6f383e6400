"""The programs on listing and ending sessions, and on handlers that outlast a request, do what the pages say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.pages import blocks

Make = Callable[[str], dict[str, Any]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that runs the program of a page, and gives what it defines."""
    made: list[Any] = []

    def run(page: str) -> dict[str, Any]:
        (program,) = [block for block in blocks(page, "python") if "Flask(__name__)" in block]
        names: dict[str, Any] = {"__name__": "page"}
        folder = f"Flask(__name__, instance_path={str(tmp_path)!r})"
        exec(program.replace("Flask(__name__)", folder), names)  # noqa: S102  # the page's own program
        made.append(names["sessions"].manager.store)
        return names

    yield run
    for store in made:
        store.close()


def test_a_page_of_the_user_s_sessions(make: Make) -> None:
    """A user sees two devices, ends one but no other user's, and a changed password ends all others."""
    names = make("docs/how-to/whose-sessions.md")
    app: Flask = names["app"]
    here, there = app.test_client(), app.test_client()
    assert here.get("/devices").status_code == 401
    for browser in (here, there):
        assert browser.get("/").status_code == 200
    assert here.get("/devices").text.count("Work laptop") == 2
    assert here.get("/devices").text.count("this one") == 1
    (other,) = [entry.handle for entry in names["sessions"].of("ada") if entry.handle != handle(names, here)]
    assert here.post("/devices/end", data={"handle": "0" * 64}).status_code == 404
    assert here.post("/devices/end", data={"handle": other}).status_code in {302, 303}
    assert there.get("/devices").status_code == 401
    there.get("/")
    assert here.post("/password").status_code in {302, 303}
    assert [browser.get("/devices").status_code for browser in (here, there)] == [200, 401]


def handle(names: dict[str, Any], browser: Any) -> str:
    """Return the handle of a browser's session."""
    with names["app"].test_request_context(headers={"Cookie": f"session={browser.get_cookie('session').value}"}):
        found: str = names["session"].handle
    return found


def test_a_stream_asks_whether_its_session_lives(make: Make) -> None:
    """A stream without a signed-in user reports that and ends; with a session its events arrive."""
    names = make("docs/how-to/long-lived.md")
    app: Flask = names["app"]
    app.add_url_rule("/in", view_func=lambda: names["session"].bind("ada") or "done")
    browser = app.test_client()
    assert "signed-out" in browser.get("/news").text
    browser.get("/in")
    assert browser.get("/news").text == "data: nothing yet\n\n"
