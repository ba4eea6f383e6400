"""The ready pages in a real browser: for keyboards, screen readers, phones, the dark, and without JavaScript."""

from __future__ import annotations

import pytest
from support.visitor import Visitor

pytestmark = pytest.mark.browser

DEVICES = "/account/devices/"
OPERATOR = ["/operator/", *(f"/operator/{name}" for name in ("user?id=chiara", "breakdown", "everyone"))]
PAGES = ["/account", DEVICES, *OPERATOR]

#: The names of controls and images for assistive technology.
NAMED = {"button", "checkbox", "combobox", "DisclosureTriangle", "image", "link", "radio", "searchbox", "textbox"}

PREPARE_TO_TAB = """
    const places = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']";
    window.waiting = new Set([...document.querySelectorAll(places)].filter((element) => element.checkVisibility()));
    window.dim = [];
    addEventListener("focusin", ({ target }) => {
      const style = getComputedStyle(target);
      waiting.delete(target);
      if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) dim.push(target.outerHTML);
    });
    return waiting.size;
"""

FAINT_TEXTS = """
    const channels = (text) => text.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => {
      const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
      const [r, g, b] = channels(color).map((channel) => linear(channel / 255));
      return .2126 * r + .7152 * g + .0722 * b;
    };
    const ground = (element) => {
      const color = getComputedStyle(element).backgroundColor;
      return channels(color)[3] === 0 ? ground(element.parentElement) : color;
    };
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
      const style = getComputedStyle(element);
      const colors = [element.closest("svg") ? style.fill : style.color, ground(element)];
      const [dark, light] = colors.map(luminance).sort((a, b) => a - b);
      if ((light + .05) / (dark + .05) < 4.5) faint.push(texts.currentNode.data.trim());
    }
    return faint;
"""


@pytest.fixture
def operator(visitor: Visitor) -> Visitor:
    """Somebody who is signed in on two devices, and may see the operator's page."""
    visitor.sign_in("chiara")
    visitor.sign_in_elsewhere("chiara")
    return visitor


def test_no_page_scrolls_sideways_on_a_phone(operator: Visitor) -> None:
    """At 375 pixels, and at 320, every page fits."""
    for width in (375, 320):
        with operator.on_screen(width):
            for path in PAGES:
                operator.go(path)
                assert operator.run("return document.documentElement.scrollWidth") == width, path


def test_the_keyboard_leads_to_everything_and_shows_where_it_is(operator: Visitor) -> None:
    """Tab reaches every link, button, and field, and each has an outline when it does."""
    from selenium.webdriver import ActionChains, Keys

    for path in PAGES:
        operator.go(path)
        places = operator.run(PREPARE_TO_TAB)
        ActionChains(operator.browser).send_keys(Keys.TAB * places).perform()
        assert operator.run("return [...waiting].map((element) => element.outerHTML)") == [], path
        assert operator.run("return dim") == [], path


def test_assistive_technology_is_told_what_everything_is(operator: Visitor) -> None:
    """Each control and image has a name; ids are unique; each page has a language and one first heading."""
    for path in PAGES:
        operator.go(path)
        nodes = operator.command("Accessibility.getFullAXTree")["nodes"]
        told = [
            (node["role"]["value"], node["name"]["value"]) for node in nodes if "name" in node and not node["ignored"]
        ]
        assert "link" in {role for role, _ in told}, "roles are not called what they were"
        assert [role for role, name in told if role in NAMED and not name.strip()] == [], path
        ids = operator.run("return [...document.querySelectorAll('[id]')].map((element) => element.id)")
        assert len(ids) == len(set(ids)), path
        assert operator.run("return document.documentElement.lang") == "en"
        assert len(operator.texts("h1")) == 1, path


def test_every_text_stands_out_in_light_and_dark(operator: Visitor) -> None:
    """Each text has a contrast of 4.5 to 1 at least, as WCAG asks for (AA, 1.4.3)."""
    for scheme in ("light", "dark"):
        with operator.preferring(scheme):
            for path in PAGES:
                operator.go(path)
                assert operator.run(FAINT_TEXTS) == [], (scheme, path)


def test_tabs_and_bars_show_in_forced_colours(operator: Visitor) -> None:
    """With few colours only the tab of this page has a line below, and bars differ from the ground."""
    with operator.preferring("dark", forced=True):
        operator.go("/operator/")
        border = "return [...document.querySelectorAll('.hf-tabs a')].map((a) => getComputedStyle(a).borderBottomColor)"
        ground = operator.run("return getComputedStyle(document.body).backgroundColor")
        assert [color == ground for color in operator.run(border)] == [False, True, True, True]
        assert operator.run("return getComputedStyle(document.querySelector('.hf-chart rect')).fill") != ground


def test_long_names_are_cut_by_their_width(operator: Visitor) -> None:
    """Where a name in a chart does not fit it ends in an ellipsis on a phone, and is whole for a screen reader."""
    operator.go("/operator/")
    cut = "return [...document.querySelectorAll('.hf-chart th[title]')].filter((th) => th.scrollWidth > th.clientWidth)"
    names = f"{cut}.map((th) => [th.textContent, th.title, getComputedStyle(th).textOverflow])"
    with operator.on_screen(320):
        operator.go("/operator/")
        cut_names = operator.run(names)
    assert any("Mobile Safari" in name for name, _, _ in cut_names)
    assert all((name, overflow) == (title, "ellipsis") for name, title, overflow in cut_names)


def test_the_ready_pages_hold_nothing_that_a_strict_policy_forbids(operator: Visitor) -> None:
    """There is no script, no inline style and no foreign resource."""
    for path in (DEVICES, *OPERATOR):
        operator.go(path)
        forbidden = "script, style, [style], [onclick]"
        assert operator.run("return document.querySelectorAll(`.holdfast :is(${arguments[0]})`).length", forbidden) == 0
        loaded = operator.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert all(address.startswith(operator.address) for address in loaded), loaded


def test_the_ready_pages_work_without_javascript(operator: Visitor, other_visitor: Visitor) -> None:
    """Naming a device, ending the others, counting sessions, and ending a user's need no script."""
    other_visitor.sign_in("chiara")
    with operator.without_javascript():
        operator.go(DEVICES)
        operator.find("#label").send_keys("The desk")
        operator.click("form.hf-apart button")
        assert operator.texts(".hf-card h2 > span:first-child")[0] == "The desk"
        operator.click("main .holdfast > form button")
        assert operator.texts(".flash") == ["All your other sessions have ended."]
        assert len(operator.texts(".hf-card")) == 1
        assert other_visitor.user is None

        other_visitor.sign_in("anouk")
        operator.go("/operator/breakdown")
        operator.click("button.hf-main")
        assert "sessions were counted" in operator.find(".hf-note").text
        operator.go("/operator/user")
        operator.find("#id").send_keys("anouk")
        operator.click("button.hf-main")
        operator.click("td button.hf-danger")
        assert operator.texts(".flash") == ["The session has ended."]
        assert other_visitor.user is None
