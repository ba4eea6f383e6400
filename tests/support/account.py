"""An application with the page of a user's own devices, and what its tests read from it."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from support.markup import Element, parse
from support.web import Web
from werkzeug.test import TestResponse

from holdfast.contrib.devices_page import devices_page
from holdfast.flask import session

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)


class Account(Web):
    """An application with the page, of which *options* are."""

    def __init__(self, options: dict[str, Any] | None = None, inner: Any = None, **config: Any) -> None:
        super().__init__(inner, **config)
        self.app.register_blueprint(devices_page(self.sessions, **(options or {})), url_prefix="/account/devices")

    def sign_in(self, name: str = "ada", browser: FlaskClient | None = None, agent: str = FIREFOX) -> FlaskClient:
        """Sign *name* in, in a browser of its own unless one is given, and return the browser."""
        browser = browser or self.app.test_client()
        self.do(lambda: session.bind(name), browser, headers={"User-Agent": agent})
        return browser

    def who(self, browser: FlaskClient) -> str | None:
        """Return the owner value that a browser's session is bound to."""
        owner: str | None = self.see(lambda: session.owner, browser)
        return owner

    def is_in(self, browser: FlaskClient, name: str = "ada") -> bool:
        """Return whether *name* is signed in, in a browser."""
        return self.who(browser) == self.sessions.manager.keys.owner_of(name)

    def handle(self, browser: FlaskClient) -> str:
        """Return the handle of a browser's session."""
        handle: str = self.see(lambda: session.handle, browser)
        return handle

    def page(self, browser: FlaskClient, status: int = 200) -> Element:
        """Return the page as a browser gets it."""
        return read(browser.get("/account/devices/", follow_redirects=True), status)

    def post(self, browser: FlaskClient, fields: dict[str, str] | None = None, **request: Any) -> TestResponse:
        """Send the page a form."""
        return browser.post("/account/devices/", data=fields, **request)

    def form(self, browser: FlaskClient, action: str, handle: str | None = None) -> dict[str, str]:
        """Return what the page's form for *action* sends, to the session with *handle*."""
        (fields,) = [
            fields
            for fields in forms(self.page(browser))
            if fields["action"] == action and fields.get("handle") == handle
        ]
        return fields

    def end(self, browser: FlaskClient, other: FlaskClient, **request: Any) -> TestResponse:
        """End another browser's session by the page's button."""
        return self.post(browser, self.form(browser, "end", self.handle(other)), **request)


def read(response: TestResponse, status: int = 200) -> Element:
    """Return the page of a response with this status."""
    assert response.status_code == status, response.text
    return parse(response.text)


def cards(page: Element) -> list[dict[str, str]]:
    """Return the page's details of each session: its name, the text under it, and its properties."""
    found = []
    for card in page.all("li", class_="hf-card"):
        details = {row.one("dt").text: row.one("dd").text for row in card.one("dl").all("div")}
        under = "".join(line.text for line in card.all("p", class_="hf-soft"))
        found.append({"name": card.one("h2").text, "under": under, **details})
    return found


def forms(page: Element) -> list[dict[str, str]]:
    """Return what each form of the page sends."""
    return [form.fields() for form in page.all("form")]


def done(response: TestResponse) -> None:
    """Check that a form was carried out, and that the browser is sent back to the page."""
    assert (response.status_code, response.location) == (303, "/account/devices/")


def messages(page: Element) -> list[str]:
    """Return what the page reports."""
    return [line.text for line in page.one("div", role="status").all("p")]


def both(account: Account, browser: FlaskClient) -> list[TestResponse]:
    """Return what a browser gets when it asks for the page, and when it sends a form."""
    return [browser.get("/account/devices/"), account.post(browser, {"action": "end-others"})]
