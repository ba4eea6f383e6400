"""Signing in at an identity provider on another site, in a real browser, as docs/how-to/single-sign-on.md says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request
from selenium.webdriver.common.by import By
from support.pages import blocks, table
from support.visitor import follow
from werkzeug.serving import make_server

from holdfast.flask import session

if TYPE_CHECKING:  # the driver takes long to import, and only the tests in a browser need it
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.browser

PAGE = "docs/how-to/single-sign-on.md"
FORM = """
<form action="{}" method="{}"><input name="state" value="{}"><input name="code" value="1"><button>Go on</button></form>
"""


class Served:
    """An application in a thread. Chromium takes secure cookies of localhost over http; 127.0.0.1 is another site."""

    def __init__(self, app: Flask, host: str) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://{host}:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Site:
    """The page's application, and the identity provider that it leads to."""

    def __init__(self, folder: Path) -> None:
        [program] = blocks(PAGE, "python")
        provider, names = Flask("provider"), dict[str, Any](__name__="page")
        provider.add_url_rule("/authorize", view_func=self._authorize)
        self.provider = Served(provider, "127.0.0.1")
        program = program.replace("https://idp.example.com", self.provider.url)
        exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(folder)!r})"), names)  # noqa: S102  # the page's own program
        self.app: Any = names["app"]
        self.app.config["SESSION_COOKIE_SECURE"] = True
        self.app.add_url_rule("/", view_func=self._home)
        self.app.add_url_rule("/seen", view_func=self._seen, methods=["GET", "POST"])
        self.app.before_request(self._note)
        self.site = Served(self.app, "localhost")
        self.callback, self.method = "/callback", "post"
        self.sent = set[str]()

    def _authorize(self) -> str:
        return FORM.format(f"{self.site.url}{self.callback}", self.method, request.args.get("state", ""))

    def _home(self) -> str:
        session["visited"] = True
        return f"<p>{session.owner == self.app.extensions['holdfast'].manager.keys.owner_of('ada')}</p>"

    def _seen(self) -> str:
        return "<p>seen</p>"

    def _note(self) -> None:
        if request.path == self.callback:
            self.sent = set(request.cookies)

    def close(self) -> None:
        """Stop both."""
        self.site.close()
        self.provider.close()
        self.app.extensions["holdfast"].manager.store.close()


@pytest.fixture
def site(tmp_path: Path, chromium: Chrome) -> Iterator[Site]:
    """Return the two sites, which the browser has never been to."""
    with closing(Site(tmp_path)) as site:
        yield site
        chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
        chromium.get("about:blank")  # no response may be in transit


def text(browser: Chrome, url: str) -> str:
    """Return the first paragraph of a page."""
    browser.get(url)
    return str(browser.find_element(By.TAG_NAME, "p").text)


def test_a_posted_callback_signs_in_without_the_session_cookie(site: Site, chromium: Chrome) -> None:
    """A visitor with a session comes back from the provider with the login's cookie alone, and is signed in."""
    assert text(chromium, f"{site.site.url}/") == "False"
    chromium.get(f"{site.site.url}/login")
    follow(chromium, chromium.find_element(By.TAG_NAME, "button"))
    assert text(chromium, f"{site.site.url}/") == "True"
    assert site.sent == {"login"}


def test_the_table_of_cookies_is_true(site: Site, chromium: Chrome) -> None:
    """A request from another site carries the session cookie where the page says so, by its method and ``SameSite``."""
    site.callback, found, shown = "/seen", dict[tuple[str, str], bool](), dict[tuple[str, str], bool]()
    for value in ("Strict", "Lax", "None"):
        site.app.config["SESSION_COOKIE_SAMESITE"] = value
        chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
        chromium.get(f"{site.site.url}/")
        for method in ("get", "post"):
            site.method = method
            chromium.get(f"{site.provider.url}/authorize")
            follow(chromium, chromium.find_element(By.TAG_NAME, "button"))
            assert chromium.find_element(By.TAG_NAME, "p").text == "seen"
            found[method, value] = "session" in site.sent
    for row in table(PAGE, "callback"):
        method = "get" if row["callback"].endswith("GET") else "post"
        cells = [row[column] for column in row if column != "callback"]
        shown |= {
            (method, value): cell == "cookie" for value, cell in zip(("Strict", "Lax", "None"), cells, strict=True)
        }
    assert found == shown
