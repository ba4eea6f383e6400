"""The demo shop, clicked by a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait
from support.servers import Server

pytestmark = pytest.mark.browser

PASSWORD = "ahoy"

ADD_AT_ONCE = """
    const [products, done] = arguments;
    const add = (product) => fetch("/cart", { method: "POST", body: new URLSearchParams({ product }) });
    Promise.all(products.map(add)).then((answers) => done(answers.map((answer) => answer.status)));
"""


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
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements that *selector* names."""
        return [element.text for element in self.browser.find_elements(By.CSS_SELECTOR, selector)]

    def click(self, selector: str) -> None:
        """Click something that leads to a page, and wait for the page."""
        page = self.find("html")
        self.find(selector).click()
        # While a page is being replaced, the driver may answer with a fault of its own: ask again.
        WebDriverWait(self.browser, 10, ignored_exceptions=[WebDriverException]).until(staleness_of(page))

    def sign_in(self, user: str, *, password: str = PASSWORD) -> None:
        """Fill in the form as *user* and send it."""
        self.go("/sign-in")
        self.find(f"input[value={user}]").click()
        self.find("#password").send_keys(password)
        self.click("main button")

    def hammer(self) -> str:
        """Press the hammer's button and return what the page says in the end."""
        self.find("#hammer").click()
        tally = self.find("#tally")
        WebDriverWait(self.browser, 10).until(lambda _: tally.text.startswith(("Sent", "That")))
        return tally.text

    def add_at_once(self, products: list[str]) -> list[int]:
        """Add all *products* in parallel requests and return the statuses of the answers."""
        statuses: list[int] = self.browser.execute_async_script(ADD_AT_ONCE, products)
        return statuses

    def cart(self) -> dict[str, int]:
        """Return how many pieces of each product the cart page shows."""
        self.go("/cart")
        lines = self.browser.find_elements(By.CSS_SELECTOR, ".line")
        return {
            str(line.get_attribute("data-product")): int(line.find_element(By.CSS_SELECTOR, ".count").text)
            for line in lines
        }

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


@pytest.fixture
def visitor(chromium: Chrome, shop: Server) -> Iterator[Visitor]:
    """Somebody who has never been to the shop, and looks at it now."""
    visitor = Visitor(chromium, shop.url)
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    visitor.go()
    yield visitor
    assert visitor.faults() == []
    chromium.get("about:blank")  # nothing may be on its way from a shop that closes


def test_a_cart_filled_by_parallel_requests_outlives_the_server(visitor: Visitor, shop: Server) -> None:
    """What parallel requests put in is all there, before and after a restart, until the sign-out ends it for good."""
    visitor.sign_in("anouk")
    goods = ["rope", "lantern", "rope", "bell", "mug", "rope", "hat", "bell", "anchor", "mug"]
    assert visitor.add_at_once(goods) == [200] * len(goods)
    assert "Sent 20, counted 20, kept 20 keys" in visitor.hammer()
    expected = {"rope": 3, "lantern": 1, "bell": 2, "mug": 2, "hat": 1, "anchor": 1}
    assert visitor.cart() == expected

    shop.restart()

    assert visitor.cart() == expected
    assert visitor.texts("#user") == ["Anouk"]
    before = visitor.cookie
    visitor.click("#sign-out")
    assert visitor.texts("#user") == []
    assert visitor.texts(".flash") == ["You are signed out. The cookie you had opens nothing any more."]
    assert visitor.cookie["value"] != before["value"]

    visitor.cookie = before
    visitor.go()
    assert visitor.texts("#user") == []
    assert visitor.texts("#pieces") == ["0"]
    assert visitor.cart() == {}


def test_signing_in_leaves_the_old_cookie_worthless(visitor: Visitor) -> None:
    """Signing in changes the cookie; the one from before is anonymous, and using it does not disturb the new one."""
    visitor.click("button[value=compass]")
    before = visitor.cookie
    visitor.sign_in("bram")
    after = visitor.cookie
    assert after["value"] != before["value"]
    assert visitor.cart() == {"compass": 1}

    visitor.cookie = before
    visitor.go()
    assert visitor.texts("#user") == []
    assert visitor.texts("#pieces") == ["0"]
    assert visitor.cookie["value"] == before["value"], "an answer to the old id must not set a cookie"

    visitor.cookie = after
    assert visitor.cart() == {"compass": 1}
    assert visitor.texts("#user") == ["Bram"]


def test_another_user_begins_with_an_empty_cart(visitor: Visitor) -> None:
    """A user who signs in over another one finds nothing of theirs."""
    visitor.sign_in("bram")
    visitor.click("button[value=bell]")
    visitor.sign_in("chiara")
    assert visitor.texts("#user") == ["Chiara"]
    assert visitor.cart() == {}


def test_the_hammer_loses_nothing_of_a_new_visitor(visitor: Visitor) -> None:
    """Forty parallel requests on a session that has just begun are all counted."""
    for _ in range(2):
        assert visitor.hammer().startswith("Sent 20, counted 20, kept 20 keys")
    assert len(visitor.texts(".blows .hit")) == 20


def test_a_message_is_shown_once(visitor: Visitor) -> None:
    """A flash message is on the next page and not on the one after."""
    visitor.sign_in("anouk", password="wrong")
    assert visitor.texts(".flash") == ["That is not the password."]
    visitor.go("/sign-in")
    assert visitor.texts(".flash") == []
    assert visitor.texts("#user") == []


def test_the_page_tells_of_the_session(visitor: Visitor) -> None:
    """Visits are counted, and the handle on the page is not what the cookie holds."""
    assert "This visit begins it" in visitor.find("aside").text
    visitor.go()
    assert visitor.texts("#visits") == ["2"]
    handle = str(visitor.find("#handle").get_attribute("title"))
    assert len(handle) == 64
    assert handle != visitor.cookie["value"]
    assert visitor.cookie["httpOnly"]
    assert visitor.cookie["sameSite"] == "Lax"


def test_the_shop_works_without_javascript(visitor: Visitor) -> None:
    """Adding, changing quantities, removing and ordering need no script."""
    visitor.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        visitor.go()
        assert not visitor.find("#hammer").is_displayed()
        visitor.click("button[value=mug]")
        visitor.click("button[value=hat]")
        visitor.go("/cart")
        visitor.click("[aria-label='One Enamel mug more']")
        visitor.click("[aria-label='Remove Sou’wester']")
        assert visitor.cart() == {"mug": 2}
        assert visitor.texts("#total") == ["€ 19.00"]
        visitor.click(".checkout button")
        assert visitor.texts(".flash") == ["Please sign in to order. Your cart comes along."]
        visitor.sign_in("chiara")
        visitor.go("/cart")
        visitor.click(".checkout button")
        assert visitor.texts("#pieces") == ["0"]
    finally:
        visitor.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_phone_needs_no_sideways_scrolling(visitor: Visitor) -> None:
    """At 360 pixels, and at 320, every page fits."""
    visitor.sign_in("bram")
    visitor.click("button[value=lantern]")
    try:
        for width in (360, 320):
            phone = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": True}
            visitor.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
            for path in ("/", "/cart", "/sign-in"):
                visitor.go(path)
                assert visitor.browser.execute_script("return document.documentElement.scrollWidth") == width, path
    finally:
        visitor.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_shop_asks_no_other_site_for_anything(visitor: Visitor, shop: Server) -> None:
    """All that a page loads comes from the shop itself."""
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    loaded = visitor.browser.execute_script(script)
    assert len(loaded) >= 3
    assert all(address.startswith(f"{shop.url}/static/") for address in loaded), loaded


def test_a_form_on_another_site_is_refused(shop: Server) -> None:
    """A POST that a browser sends for another site, or for none it will name, is answered with 403."""
    for origin in ("http://evil.example", "null"):
        answer = requests.post(f"{shop.url}/cart", data={"product": "rope"}, headers={"Origin": origin}, timeout=5)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
