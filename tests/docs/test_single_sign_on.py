"""The program on the page about SAML and OpenID Connect signs in without the session cookie."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from support.pages import blocks
from support.web import cookies_set


def browser_of(tmp_path: Path) -> FlaskClient:
    """Return a browser of the page's application."""
    (program,) = blocks("docs/how-to/single-sign-on.md", "python")
    names: dict[str, Any] = {"__name__": "page"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), names)  # noqa: S102  # the page's own program
    browser: FlaskClient = names["app"].test_client()
    return browser


def test_a_posted_callback_without_the_session_cookie_signs_in(tmp_path: Path) -> None:
    """The state comes back in its own cookie, which is sent across sites, and the session's cookie is Lax."""
    browser = browser_of(tmp_path)
    sent = browser.get("/login", base_url="https://localhost")
    assert "SameSite=None" in sent.headers["Set-Cookie"]
    state = parse_qs(urlsplit(sent.location).query)["state"][0]
    answer = browser.post("/callback", data={"state": state, "code": "1"}, base_url="https://localhost")
    assert answer.status_code == 302
    [cookie] = cookies_set(answer)
    assert "SameSite=Lax" in cookie


def test_a_callback_with_another_state_is_refused(tmp_path: Path) -> None:
    """A callback that this browser did not ask for, with another state or without the cookie, answers 400."""
    browser = browser_of(tmp_path)
    assert browser.post("/callback", data={"state": "x", "code": "1"}, base_url="https://localhost").status_code == 400
    browser.get("/login", base_url="https://localhost")
    assert browser.post("/callback", data={"state": "x", "code": "1"}, base_url="https://localhost").status_code == 400
