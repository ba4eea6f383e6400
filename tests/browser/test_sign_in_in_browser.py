"""Signing in, in a real browser: clicks that come twice, and settings of the cookie that change on a live site.

Set ``HOLDFAST_SIGN_INS`` to sign in more often than twice in each test.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, redirect, render_template_string
from flask_wtf.csrf import CSRFProtect
from support.visitor import follow, waiting
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore

if TYPE_CHECKING:  # the driver takes long to import, and only the tests in a browser need it
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(7200)]

SIGN_INS = int(os.environ.get("HOLDFAST_SIGN_INS", "2"))

#: How long the view that signs in takes, in seconds.
SLOWNESS = 0.5

FORM = """
<form method="post" action="/app/sign-in">
{% if csrf_token is defined %}<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">{% endif %}
<button>Sign in</button></form>
"""

CLICK_TWICE = """
const [wait] = arguments, button = document.querySelector("button");
setTimeout(() => button.click(), 0);
setTimeout(() => button.click(), wait);
"""


class Site:
    """A site with a form to sign in, in a thread of its own. Its host has a parent domain."""

    def __init__(self, *, csrf: bool, **config: Any) -> None:
        self.app = Flask("site", static_folder=None)
        self.app.config.update(SECRET_KEY="made up for tests: B7u-q2Xn_fLw90Rk", SESSION_STORE=MemoryStore(), **config)
        Session(self.app)
        if csrf:
            CSRFProtect(self.app)
        for path, view, methods in (
            ("/app/", lambda: f"<p>{session.get('name', 'nobody')}</p>", ["GET"]),
            ("/app/sign-in", lambda: render_template_string(FORM), ["GET"]),
            ("/app/sign-in", self._sign_in, ["POST"]),
            ("/app/sign-out", self._sign_out, ["GET"]),
            ("/app/visit", self._visit, ["GET"]),
            ("/app/read", self._read, ["GET"]),
        ):
            self.app.add_url_rule(path, f"{path} {methods}", view, methods=methods)
        self.slowness = SLOWNESS
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.address = f"http://www.shop.localhost:{self._server.port}/app"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _sign_in(self) -> Response:
        time.sleep(self.slowness)
        session.bind("ada")
        session["name"] = "ada"
        return redirect("/app/")

    def _sign_out(self) -> Response:
        session.destroy()
        return redirect("/app/")

    def _visit(self) -> str:
        session["visited"] = True
        return "<p>welcome</p>"

    def _read(self) -> str:
        return str(session.get("name"))

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(params=[True, False], ids=["with a CSRF token", "without"])
def site(request: pytest.FixtureRequest, chromium: Chrome) -> Iterator[Site]:
    """Return a site that the browser has never been to."""
    site = Site(csrf=request.param)
    yield site
    forget(chromium)
    chromium.get("about:blank")  # no response may be in transit
    site.close()


def forget(browser: Chrome) -> None:
    """Remove all cookies."""
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})


def whose(browser: Chrome, site: Site) -> str:
    """Return who is signed in."""
    browser.get(f"{site.address}/")
    return str(browser.find_element("tag name", "p").text)


def sign_in(browser: Chrome, site: Site) -> None:
    """Send the form, and wait for the page that it leads to."""
    browser.get(f"{site.address}/sign-in")
    follow(browser, browser.find_element("tag name", "button"))


@pytest.mark.parametrize("apart", [50, 150, 400])
def test_two_clicks_sign_in(chromium: Chrome, site: Site, apart: int) -> None:
    """Two clicks on the button, some milliseconds apart, sign in each time, and so does the form after that."""
    for _ in range(SIGN_INS):
        forget(chromium)
        assert whose(chromium, site) == "nobody"
        chromium.get(f"{site.address}/sign-in")
        chromium.execute_script(CLICK_TWICE, apart)
        waiting(chromium).until(lambda browser: browser.current_url.endswith("/app/"))
        assert whose(chromium, site) == "ada"
        sign_in(chromium, site)
        assert whose(chromium, site) == "ada"


@pytest.mark.parametrize(
    "change",
    [
        {"SESSION_COOKIE_PATH": "/app"},
        {"SESSION_COOKIE_DOMAIN": "shop.localhost"},
        {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_PARTITIONED": True},
    ],
    ids=["path", "domain", "partition"],
)
@pytest.mark.parametrize("back", [False, True], ids=["changed", "changed back"])
def test_a_changed_cookie_locks_nobody_out(chromium: Chrome, site: Site, change: dict[str, Any], back: bool) -> None:
    """With a new path, domain or partition a returning user is signed in, can sign out, and in again, twice."""
    site.slowness = 0
    settings = [{name: site.app.config[name] for name in change}, change]
    first, then = reversed(settings) if back else settings
    site.app.config.update(first)
    sign_in(chromium, site)
    assert whose(chromium, site) == "ada"
    site.app.config.update(then)
    for _ in range(2):
        assert whose(chromium, site) == "ada"
        chromium.get(f"{site.address}/sign-out")
        assert whose(chromium, site) == "nobody"
        sign_in(chromium, site)


SIGN_IN_AMONG_READS = """
const [site, done] = arguments;
let over = false;
const read = async () => { while (!over) await fetch(`${site}/read`); };
const signIn = fetch(`${site}/sign-in`, { method: "POST", redirect: "manual" }).then(() => { over = true; });
Promise.all([signIn, read(), read(), read()]).then(() => done());
"""


@pytest.mark.parametrize("site", [False], indirect=True, ids=["without"])
def test_reads_in_flight_put_no_dead_cookie_back(chromium: Chrome, site: Site) -> None:
    """With three reads that overlap a login of a permanent session, the browser keeps the login's cookie each time."""
    site.slowness = 0.02
    site.app.config["SESSION_PERMANENT"] = True
    for _ in range(5 * SIGN_INS):
        forget(chromium)
        chromium.get(f"{site.address}/visit")
        chromium.execute_async_script(SIGN_IN_AMONG_READS, site.address)
        assert whose(chromium, site) == "ada"
