"""An application with the operator's page, and an operator at it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from flask.testing import FlaskClient
from support.web import Web
from werkzeug.test import TestResponse

from holdfast.contrib.operator_page import operator_page
from holdfast.flask import session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)


class Bare:
    """A store with only the five methods."""

    def __init__(self, clock: FakeClock) -> None:
        inner = MemoryStore(clock=clock)
        self.load, self.create, self.replace = inner.load, inner.create, inner.replace
        self.touch, self.delete = inner.touch, inner.delete


class Desk:
    """An application with the operator's page, and an operator at it.

    Attributes:
        web: The application.
        operator: The operator's browser, signed in.
        ticks: The page's time of day, in seconds.
    """

    def __init__(self, web: Web, **page: Any) -> None:
        self.web = web
        self.ticks = iter(range(1_000_000))
        page.setdefault("authorize", lambda: session.get("role") == "operator" and "Grace")
        web.app.register_blueprint(operator_page(web.sessions, timer=lambda: next(self.ticks), **page))
        self.operator = web.app.test_client()
        web.do(sign_in_operator, self.operator)

    def get(self, path: str = "/operator/", browser: FlaskClient | None = None) -> TestResponse:
        """Return a page."""
        return (browser or self.operator).get(path)

    def text(self, path: str, status: int = 200) -> str:
        """Return the HTML of a page, which must be answered with *status*."""
        response = self.get(path)
        assert response.status_code == status, response.text
        return response.text

    def send(self, path: str, **fields: str) -> TestResponse:
        """Send a form of the page at *path*, as the operator's browser does."""
        proof = re.search(r'name="form_token" value="([^"]*)"', self.get(path).text)
        assert proof, f"{path} has no form"
        return self.operator.post(path, data={"form_token": proof[1], **fields})

    def done(self, path: str, **fields: str) -> str:
        """Send a form, which must be answered with 303, and return the page that is shown then."""
        response = self.send(path, **fields)
        assert response.status_code == 303, response.text
        return unescape(self.text(response.location))


def sign_in_operator() -> None:
    """Sign the operator in."""
    session.bind("operator")
    session["role"] = "operator"


def sign_in(web: Web, name: str = "ada", header: str = FIREFOX, label: str | None = None) -> FlaskClient:
    """Sign *name* in, in a browser of its own, and return the browser."""
    browser = web.app.test_client()

    def view() -> None:
        session.bind(name)
        session.label = label

    web.do(view, browser, headers={"User-Agent": header})
    return browser


def handle_of(web: Web, browser: FlaskClient) -> str:
    """Return the handle of a browser's session."""
    handle: str = web.see(lambda: session.handle, browser)
    return handle


def lives(web: Web, browser: FlaskClient) -> bool:
    """Return whether a browser is signed in."""
    return web.see(lambda: session.owner, browser) is not None
