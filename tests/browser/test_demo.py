"""The demo shop, clicked by a real browser."""

from __future__ import annotations

import pytest
from support.servers import Server
from support.visitor import Visitor

pytestmark = pytest.mark.browser


def test_a_cart_filled_by_parallel_requests_outlives_the_server(visitor: Visitor, shop: Server) -> None:
    """All goods of parallel requests are in the cart, before and after a restart, until the sign-out ends it."""
    visitor.sign_in("anouk")
    goods = ["rope", "lantern", "rope", "bell", "mug", "rope", "hat", "bell", "anchor", "mug"]
    assert visitor.add_at_once(goods) == [200] * len(goods)
    assert "Sent 20, counted 20, kept 20 keys" in visitor.send_at_once()
    expected = {"rope": 3, "lantern": 1, "bell": 2, "mug": 2, "hat": 1, "anchor": 1}
    assert visitor.cart() == expected

    shop.restart()

    assert visitor.cart() == expected
    assert visitor.texts("#user") == ["Anouk"]
    before = visitor.cookie
    visitor.click("#sign-out")
    assert visitor.texts("#user") == []
    assert visitor.texts(".flash") == ["You are signed out. Your old cookie is invalid."]
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
    """A user who signs in over another one sees none of their data."""
    visitor.sign_in("bram")
    visitor.click("button[value=bell]")
    visitor.sign_in("chiara")
    assert visitor.texts("#user") == ["Chiara"]
    assert visitor.cart() == {}


def test_requests_at_once_lose_nothing_of_a_new_visitor(visitor: Visitor) -> None:
    """Forty parallel requests on a session that has just begun are all counted."""
    for _ in range(2):
        assert visitor.send_at_once().startswith("Sent 20, counted 20, kept 20 keys")
    assert len(visitor.texts(".dots .done")) == 20


def test_a_message_is_shown_once(visitor: Visitor) -> None:
    """A flash message is on the next page and not on the one after."""
    visitor.sign_in("anouk", password="wrong")
    assert visitor.texts(".flash") == ["That is not the password."]
    visitor.go("/sign-in")
    assert visitor.texts(".flash") == []
    assert visitor.texts("#user") == []


def test_a_second_browser_is_signed_out_while_one_looks_on(visitor: Visitor) -> None:
    """The link opens the shop with other cookies; ending that session closes its live connection without a reload."""
    visitor.sign_in("anouk")
    visitor.go("/account")
    visitor.find("#second-browser").click()
    first, second = visitor.browser.current_window_handle, visitor.other_window()
    visitor.browser.switch_to.window(second)
    other = Visitor(visitor.browser, visitor.address.replace("127.0.0.1", "localhost"))
    assert other.user is None
    other.sign_in("anouk")
    assert other.live("Live") == "Live connection open."
    visitor.browser.switch_to.window(first)
    visitor.go("/account/devices/")
    assert len(visitor.texts(".hf-card")) == 2
    visitor.click("#end-2")
    assert visitor.live("Live") == "Live connection open."
    visitor.browser.switch_to.window(second)
    assert "the shop closed the live connection" in other.live("Your session ended at")
    assert other.texts("#user") == ["Anouk"], "the page was loaded again"
    assert other.user is None
    visitor.browser.close()
    visitor.browser.switch_to.window(first)


def test_the_cart_says_how_much_is_in_it(visitor: Visitor) -> None:
    """The name of the link to the cart for assistive technology is what it shows, and a unit."""
    names = []
    for _ in range(2):
        visitor.click("button[value=mug]")
        nodes = visitor.command("Accessibility.getFullAXTree")["nodes"]
        names += [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "link"][2:3]
    assert names == ["Cart 1 item", "Cart 2 items"]


def test_the_page_tells_of_the_session(visitor: Visitor) -> None:
    """Visits are counted, and the handle on the page is not what the cookie holds."""
    assert "This visit creates it" in visitor.find("aside").text
    visitor.go()
    assert visitor.texts("#visits") == ["2"]
    handle = str(visitor.find("#handle").get_attribute("title"))
    assert len(handle) == 64
    assert handle != visitor.cookie["value"]
    assert visitor.cookie["httpOnly"]
    assert visitor.cookie["sameSite"] == "Lax"


def test_the_shop_works_without_javascript(visitor: Visitor) -> None:
    """Adding, changing quantities, removing and ordering need no script."""
    with visitor.without_javascript():
        visitor.go()
        assert not visitor.find("#parallel").is_displayed()
        visitor.click("button[value=mug]")
        visitor.click("button[value=hat]")
        visitor.go("/cart")
        visitor.click("[aria-label='One Enamel mug more']")
        visitor.click("[aria-label='Remove Sou’wester']")
        assert visitor.cart() == {"mug": 2}
        assert visitor.texts("#total") == ["€ 19.00"]
        visitor.click(".checkout button")
        assert visitor.texts(".flash") == ["Please sign in to order. Your cart is kept."]
        visitor.sign_in("chiara")
        visitor.go("/cart")
        visitor.click(".checkout button")
        assert visitor.texts("#pieces") == ["0"]


def test_the_shop_asks_no_other_site_for_anything(visitor: Visitor, shop: Server) -> None:
    """All that a page loads comes from the shop itself."""
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    loaded = visitor.browser.execute_script(script)
    assert len(loaded) >= 3
    assert all(address.startswith(f"{shop.url}/static/") for address in loaded), loaded


def test_a_form_on_another_site_is_refused(shop: Server) -> None:
    """A POST that a browser sends for another site, or for none it will name, is answered with 403."""
    import requests

    for origin in ("http://evil.example", "null"):
        answer = requests.post(f"{shop.url}/cart", data={"product": "rope"}, headers={"Origin": origin}, timeout=5)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
