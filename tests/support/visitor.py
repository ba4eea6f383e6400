"""The demo shop as a process of its own, and somebody at a browser in it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.servers import Server, expect, free_port

if TYPE_CHECKING:  # the driver takes long to import, and only the tests in a browser need it
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement
    from selenium.webdriver.support.ui import WebDriverWait

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo"

PASSWORD = "ahoy"

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)

ADD_AT_ONCE = """
    const [products, done] = arguments;
    const add = (product) => fetch("/cart", { method: "POST", body: new URLSearchParams({ product }) });
    Promise.all(products.map(add)).then((answers) => done(answers.map((answer) => answer.status)));
"""


def waiting(browser: Chrome, *ignored: type[Exception]) -> WebDriverWait[Chrome]:
    """Return what waits, up to 20 seconds, for a condition of *browser*. It may raise *ignored* failures until then."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20, poll_frequency=0.02, ignored_exceptions=ignored)


def follow(browser: Chrome, element: WebElement) -> None:
    """Click an *element* that leads to a page, and wait for the page: the driver does not, on a slow machine."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.expected_conditions import staleness_of

    page = browser.find_element("css selector", "html")
    element.click()
    # While a page is being replaced, the driver may answer with a fault of its own: ask again.
    waiting(browser, WebDriverException).until(staleness_of(page))


class Visitor:
    """Somebody at a browser, in the shop at *address*."""

    def __init__(self, browser: Chrome, address: str) -> None:
        self.browser = browser
        self.address = address

    def go(self, path: str = "/") -> None:
        """Open a page of the shop."""
        self.browser.get(self.address + path)

    def find(self, selector: str) -> WebElement:
        """Return the first element that *selector* names; there must be one."""
        return self.browser.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements that *selector* names."""
        return [element.text for element in self.browser.find_elements("css selector", selector)]

    def click(self, selector: str) -> None:
        """Click something that leads to a page, and wait for the page."""
        follow(self.browser, self.find(selector))

    def other_window(self) -> str:
        """Wait until there are two windows, and return the one that is not this one."""
        waiting(self.browser).until(lambda browser: len(browser.window_handles) == 2)
        [other] = set(self.browser.window_handles) - {self.browser.current_window_handle}
        return other

    def sign_in(self, user: str, *, password: str = PASSWORD) -> None:
        """Fill in the form as *user* and send it."""
        self.go("/sign-in")
        self.find(f"input[value={user}]").click()
        self.find("#password").send_keys(password)
        self.click("main button")

    def send_at_once(self) -> str:
        """Press the button for twenty requests and return what the page says in the end."""
        self.find("#parallel").click()
        result = self.find("#result")
        waiting(self.browser).until(lambda _: result.text.startswith(("Sent ", "The test failed")))
        return result.text

    def sign_in_elsewhere(self, user: str) -> None:
        """Sign *user* in, on an iPhone that is no browser of these tests."""
        import requests

        form = {"user": user, "password": PASSWORD}
        answer = requests.post(f"{self.address}/sign-in", data=form, headers={"User-Agent": IPHONE}, timeout=5)
        assert answer.ok

    def live(self, beginning: str) -> str:
        """Wait until the line of the live connection begins so, without loading the page again, and return it."""
        waiting(self.browser).until(lambda _: self.find("#live").text.startswith(beginning))
        return self.find("#live").text

    def add_at_once(self, products: list[str]) -> list[int]:
        """Add all *products* in parallel requests and return the statuses of the answers."""
        statuses: list[int] = self.browser.execute_async_script(ADD_AT_ONCE, products)
        return statuses

    def cart(self) -> dict[str, int]:
        """Return how many pieces of each product the cart page shows."""
        self.go("/cart")
        lines = self.browser.find_elements("css selector", ".line")
        return {
            str(line.get_attribute("data-product")): int(line.find_element("css selector", ".count").text)
            for line in lines
        }

    @contextlib.contextmanager
    def without_javascript(self) -> Iterator[None]:
        """Run no script of any page."""
        self.command("Emulation.setScriptExecutionDisabled", value=True)
        try:
            yield
        finally:
            self.command("Emulation.setScriptExecutionDisabled", value=False)

    @contextlib.contextmanager
    def on_screen(self, width: int) -> Iterator[None]:
        """Show pages on a phone's screen, so many pixels wide."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1, mobile=True)
        try:
            yield
        finally:
            self.command("Emulation.clearDeviceMetricsOverride")

    @contextlib.contextmanager
    def preferring(self, scheme: str, *, forced: bool = False) -> Iterator[None]:
        """Show pages as to somebody who prefers ``light`` or ``dark`` ones, and no motion; *forced*: in few colours."""
        preferences = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        preferences["forced-colors"] = "active" if forced else "none"
        features = [{"name": name, "value": value} for name, value in preferences.items()]
        self.command("Emulation.setEmulatedMedia", features=features)
        try:
            yield
        finally:
            self.command("Emulation.setEmulatedMedia", features=[])

    def command(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Give the browser a command of the DevTools protocol, and return its answer."""
        answer: dict[str, Any] = self.browser.execute_cdp_cmd(name, parameters)
        return answer

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns that runs in the page."""
        return self.browser.execute_script(script, *arguments)

    @property
    def user(self) -> str | None:
        """The name of who the shop says is signed in, or None."""
        self.go()
        return next(iter(self.texts("#user")), None)

    @property
    def cookie(self) -> dict[str, Any]:
        """The session cookie."""
        (cookie,) = self.browser.get_cookies()
        return cookie

    @cookie.setter
    def cookie(self, cookie: dict[str, Any]) -> None:
        self.browser.delete_all_cookies()
        self.browser.add_cookie(cookie)

    def faults(self) -> list[str]:
        """Return what the browser complained about since it was last asked."""
        log: list[dict[str, str]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]  # so it ships
        return [entry["message"] for entry in log]


def open_shop(store: str, folder: Path) -> Server:
    """Start the demo on a port of its own. It keeps its sessions in *store*, and its log in *folder*."""
    port = free_port()
    address = ("127.0.0.1", port)
    return Server(
        ["env", f"PORT={port}", f"STORE={store}", sys.executable, DEMO],
        folder=folder,
        url=f"http://127.0.0.1:{port}",
        address=address,
        probe=lambda: expect(address, b"GET /static/icon.svg HTTP/1.0\r\n\r\n", b" 200 OK"),
    )


@contextlib.contextmanager
def visiting(browser: Chrome, shop: Server) -> Iterator[Visitor]:
    """Open the shop as a new visitor; at the end the browser must have no errors in its log."""
    visitor = Visitor(browser, shop.url)
    visitor.command("Network.clearBrowserCookies")
    visitor.faults()  # of another test's pages
    visitor.go()
    yield visitor
    faults = visitor.faults()
    assert not faults, faults
    browser.get("about:blank")  # no response may be in transit from a shop that closes
