"""The application of docs/how-to/api-clients.md does what the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.pages import blocks


def test_the_application_of_the_page_serves_a_client_and_a_browser(tmp_path: Path) -> None:
    """A client signs in, asks for its cart and signs out by its token; a browser does the same by its cookie."""
    program = blocks("docs/how-to/api-clients.md", "python")[0]
    place: dict[str, Any] = {"__name__": "page"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), place)  # noqa: S102  # the page's own program
    user = {"name": "ada", "password": "correct horse"}
    client = place["app"].test_client(use_cookies=False)
    token = client.post("/api/login", json=user, headers={"Session-Transport": "header"}).headers["Session-Token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/cart", headers=headers).json == {"cart": []}
    assert client.get("/api/cart").status_code == 401
    assert client.post("/api/logout", headers=headers).headers["Session-Token"] == ""
    assert client.get("/api/cart", headers=headers).headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    browser = place["app"].test_client()
    assert "Session-Token" not in browser.post("/api/login", json=user).headers
    assert browser.get("/api/cart").json == {"cart": []}
