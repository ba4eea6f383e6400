"""The application of docs/how-to/api-clients.md does what the page says."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

from flask_wtf.csrf import CSRFProtect
from support.pages import blocks
from support.web import SECRET_KEY

USER = {"name": "ada", "password": "correct horse"}
ASKED = {"Session-Transport": "header"}


def application(folder: Path) -> dict[str, Any]:
    """Return the names of the page's application, with its store in a folder."""
    program = blocks("docs/how-to/api-clients.md", "python")[0]
    place: dict[str, Any] = {"__name__": "page"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(folder)!r})"), place)  # noqa: S102  # the page's own program
    return place


def test_the_application_of_the_page_serves_a_client_and_a_browser(tmp_path: Path) -> None:
    """A client signs in, asks for its cart and signs out by its token; a browser does the same by its cookie."""
    place = application(tmp_path)
    client = place["app"].test_client(use_cookies=False)
    token = client.post("/api/login", json=USER, headers=ASKED).headers["Session-Token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/cart", headers=headers).json == {"cart": []}
    assert client.get("/api/cart").status_code == 401
    assert client.post("/api/logout", headers=headers).headers["Session-Token"] == ""
    assert client.get("/api/cart", headers=headers).headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    browser = place["app"].test_client()
    assert "Session-Token" not in browser.post("/api/login", json=USER).headers
    assert browser.get("/api/cart").json == {"cart": []}


def test_only_cookies_need_a_token_against_forged_requests(tmp_path: Path) -> None:
    """With the page's lines for Flask-WTF a login by a cookie needs a CSRF token, and one by a header none."""
    place = application(tmp_path)
    app = place["app"]
    app.config["SECRET_KEY"] = SECRET_KEY
    place["csrf"] = CSRFProtect(app)
    exec(blocks("docs/how-to/api-clients.md", "python")[1], place)  # noqa: S102  # the page's own lines
    client = app.test_client()
    assert client.post("/api/login", json=USER).status_code == 400
    assert client.post("/api/login", json=USER, headers=ASKED).status_code == 200


def test_the_transcript_is_what_the_application_answers(tmp_path: Path) -> None:
    """The requests of curl get the headers and the bodies that the page shows."""
    client, token = application(tmp_path)["app"].test_client(use_cookies=False), ""
    [transcript] = blocks("docs/how-to/api-clients.md", "console")
    for part in transcript.split("$ curl ")[1:]:
        command, _, shown = part.partition("\n")
        words = shlex.split(re.sub(r"Bearer [\w-]+", f"Bearer {token}", command))
        options = dict(pairwise(words))
        body = json.loads(options["--json"]) if "--json" in options else None
        path = words[1].removeprefix("localhost:5000")
        headers = dict([options["-H"].split(": ")])
        answer = client.open(path, method="POST" if body else "GET", headers=headers, json=body)
        token = answer.headers.get("Session-Token", token)
        head, _, text = shown.rpartition("\n\n")
        assert answer.text == text
        if head:
            names = {line.partition(":")[0] for line in head.splitlines()[1:]}
            assert names == set(answer.headers.keys()) - {"Content-Type", "Content-Length"}
