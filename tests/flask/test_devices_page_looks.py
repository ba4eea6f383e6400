"""The page of a user's devices in other words, in other layouts, and for everybody's eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib import resources

import pytest
from flask import Flask
from jinja2 import DictLoader, select_autoescape
from support.account import IPHONE, Account, cards, done, messages, read
from support.markup import Element
from support.web import Web

from holdfast.contrib.devices_page import devices_page
from holdfast.flask import session

#: A catalog in a language of the tests' own: every text between brackets.
KEPT = {'lang="en" dir="ltr"': 'lang="he" dir="rtl"'}


def translated(message: str) -> str:
    """Return the translation of a text."""
    return KEPT.get(message, f"[{message}]")


def translated_by_number(one: str, many: str, number: int) -> str:
    """Return the translation of a text with a number in it."""
    return f"[{one if number == 1 else many}]"


def install(app: Flask, *, newstyle: bool) -> None:
    """Give the application's templates a language, as Flask-Babel does in the new style."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        translated, translated_by_number, newstyle=newstyle
    )


def texts(page: Element) -> Iterator[str]:
    """Yield every text of the page that is not of the sessions themselves."""
    for element in page.walk():
        text = " ".join(child.strip() for child in element.children if isinstance(child, str)).strip()
        if text and text not in {"127.0.0.1", "[ ]", "html"}:
            yield text


@pytest.mark.parametrize("newstyle", [True, False])
def test_every_text_is_translated(newstyle: bool) -> None:
    """Where the application's templates have a language, every text is in it, with the values in their places."""
    account = Account(SESSION_KEEP_ADDRESS=True)
    install(account.app, newstyle=newstyle)
    account.sign_in(agent="Mystery/1.0")
    account.clock.advance(1)
    there = account.sign_in(agent=IPHONE)
    account.clock.advance(3600 * 50)
    here = account.sign_in()
    page = account.page(here)
    untranslated = [text for text in texts(page) if not text.startswith("[")]
    assert untranslated == []
    assert [card["name"] for card in cards(page)] == [
        "[Firefox on Linux] [This device]",
        "[Mobile Safari on iOS] (iPhone)",
        "[Unknown device]",
    ]
    assert cards(page)[1]["[Last used]"] == "[2 days ago]"
    done(account.end(here, there))
    assert messages(account.page(here)) == ["[The session has ended: [Mobile Safari on iOS] (iPhone).]"]


def test_a_language_brings_its_direction(account: Account) -> None:
    """The language and the direction of writing come with the texts; without a translation they are English's."""
    here = account.sign_in()
    assert account.page(here).one("html").attributes == {"lang": "en", "dir": "ltr"}
    install(account.app, newstyle=True)
    assert account.page(here).one("html").attributes == {"lang": "he", "dir": "rtl"}


@pytest.mark.parametrize("newstyle", [True, False])
@pytest.mark.parametrize("of_strings", [True, False])
def test_hostile_names_are_text_in_translations(account: Account, newstyle: bool, of_strings: bool) -> None:
    """Values in a translation are escaped, once, also where the application escapes nothing in templates of strings."""
    install(account.app, newstyle=newstyle)
    account.app.jinja_env.autoescape = select_autoescape(default_for_string=of_strings)
    here, there = account.sign_in(), account.sign_in()
    account.do(lambda: setattr(session, "label", "<b>%(device)s &amp;"), there)
    done(account.end(here, there))
    assert messages(account.page(here)) == ["[The session has ended: <b>%(device)s &amp;.]"]


def test_a_function_of_the_application_s_own_is_used(account: Account) -> None:
    """An application that translates by a function of its own, under the name that templates know it by, keeps it."""
    account.app.jinja_env.globals["_"] = translated
    here = account.sign_in()
    page = account.page(here)
    assert page.one("h1").text == "[Your devices]"
    assert cards(page)[0]["name"] == "[Firefox on Linux] [This device]"
    assert cards(page)[0]["[Signed in]"] == "[just now]"


# --- other layouts ---------------------------------------------------------------------------------------------------


def give(account: Account, **templates: str) -> None:
    """Give the application templates: ``base`` and ``devices`` of the page, and others."""
    account.app.jinja_loader = DictLoader({f"{name.replace('__', '/')}.html": text for name, text in templates.items()})


def test_an_application_replaces_a_part_of_the_page(account: Account) -> None:
    """A template of the same name wins, and may go on from the page's own."""
    give(
        account,
        holdfast__devices="""{% extends "holdfast/default/devices.html" %}
        {% block introduction %}<p>Where you are.</p>{% endblock %}
        {% block details %}{{ super() }}<div><dt>Until</dt><dd>{{ entry.idle_deadline }}</dd></div>{% endblock %}""",
    )
    here, there = account.sign_in(), account.sign_in()
    page = account.page(here)
    assert "Where you are." in page.text
    assert "change your password" not in page.text
    assert all(int(card["Until"]) > account.clock() for card in cards(page))
    done(account.end(here, there))


def test_an_application_puts_the_page_into_its_own_layout(account: Account) -> None:
    """The application's layout is around the page, with what it is given for every page of the application."""
    account.app.context_processor(lambda: {"sessions": "the application's own", "devices_sold": 3})
    give(
        account,
        layout="<html><body><nav>{{ sessions }} {{ devices_sold }}</nav>{% block body %}{% endblock %}</body></html>",
        holdfast__base="""{% extends "layout.html" %}
        {% block body %}<div class="holdfast">{% block content %}{% endblock %}</div>{% endblock %}""",
    )
    here = account.sign_in()
    account.sign_in()
    page = account.page(here)
    assert page.one("nav").text == "the application's own 3"
    assert len(cards(page.one("div", class_="holdfast"))) == 2


@pytest.mark.parametrize("early", [True, False])
def test_an_application_tells_times_in_its_own_way(early: bool) -> None:
    """A filter of the application's own formats every time, registered before the page or after."""

    def clock_time(at: datetime) -> str:
        return at.astimezone(timezone(timedelta(hours=1))).strftime("%H:%M <CET>")

    web = Web()
    if early:
        web.app.add_template_filter(clock_time, "holdfast_when")
    web.app.register_blueprint(devices_page(web.sessions))
    if not early:
        web.app.add_template_filter(clock_time, "holdfast_when")
    web.do(lambda: session.bind("ada"), web.app.test_client())
    web.clock.advance(2 * 3600)
    web.do(lambda: session.bind("ada"))
    found = cards(read(web.browser.get("/devices/")))
    assert found[0]["Signed in"] == "11:00 <CET>"
    assert found[1]["Last used"] == "between 09:00 <CET> and 09:15 <CET>"


# --- for everybody ---------------------------------------------------------------------------------------------------


@pytest.fixture
def page(account: Account) -> Element:
    """Return a page with everything on it: two devices of one name, a third, a report, and a refused name."""
    here = account.sign_in()
    ended = account.sign_in()
    for _ in range(2):
        account.sign_in(agent=IPHONE)
    done(account.end(here, ended))
    fields = {**account.form(here, "name"), "label": "x" * 101}
    return read(account.post(here, fields), 400)


def test_the_page_has_an_outline(page: Element) -> None:
    """There is one language, one title, one top heading that says the same, and one below it for each device."""
    assert page.one("html")["lang"] == "en"
    assert page.one("title").text == page.one("h1").text == "Your devices"
    assert [element.tag for element in page.walk() if re.fullmatch("h[1-6]", element.tag)] == ["h1", "h2", "h2", "h2"]


def test_the_page_has_landmarks(page: Element) -> None:
    """There is one main part, which a link at the very beginning leads to, and a header before it."""
    main = page.one("main")
    first = page.one("body").all("a")[0]
    assert first["href"] == f"#{main['id']}"
    assert main["tabindex"] == "-1"
    assert len(page.all("header")) == 1
    assert page.one("h1") in list(main.walk())


def test_every_id_is_there_once_and_every_reference_leads_somewhere(page: Element) -> None:
    """The targets of ids in attributes are on the page."""
    ids = [element["id"] for element in page.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    referring = ("for", "aria-labelledby", "aria-describedby")
    references = [
        name for element in page.walk() for key in referring for name in element.attributes.get(key, "").split()
    ]
    assert references
    assert set(references) <= set(ids)


def test_every_field_has_a_label(page: Element) -> None:
    """Each input has a label, a hint, and, when it was refused, the reason."""
    labelled = {label["for"] for label in page.all("label")}
    visible = [field for field in page.all("input") if field["type"] != "hidden"]
    assert {field["id"] for field in visible} == labelled
    assert [field["aria-describedby"] for field in visible] == ["label-hint label-error"]


def test_every_button_says_what_it_ends(page: Element) -> None:
    """A button that ends a session has the device in its name, for those who do not see it beside the device."""
    by_id = {element["id"]: element for element in page.walk() if "id" in element.attributes}
    names = [
        " ".join(by_id[name].text for name in button["aria-labelledby"].split())
        for button in page.all("button")
        if "aria-labelledby" in button.attributes
    ]
    assert names == ["End session Mobile Safari on iOS (iPhone)"] * 2
    assert all(button.text for button in page.all("button"))


def test_a_strict_policy_lets_the_page_work(page: Element) -> None:
    """There is no script, no style and no handler in the page, and only the stylesheet is fetched."""
    tags = {element.tag for element in page.walk()}
    assert not tags & {"script", "style", "iframe", "object", "embed", "base", "img", "svg"}
    for element in page.walk():
        assert not [name for name in element.attributes if name.startswith("on") or name in {"style", "src", "srcdoc"}]
    assert [link["href"] for link in page.all("link")] == ["/account/devices/static/holdfast.css"]


def test_the_page_may_be_enlarged(page: Element) -> None:
    """Zooming is not disabled."""
    (viewport,) = [meta["content"] for meta in page.all("meta") if meta.attributes.get("name") == "viewport"]
    assert viewport == "width=device-width, initial-scale=1"


# --- colours ---------------------------------------------------------------------------------------------------------


def palettes() -> list[dict[str, str]]:
    """Return the stylesheet's colours by name: those for light, and those for dark."""
    sheet = resources.files("holdfast.contrib.pages").joinpath("static/holdfast.css").read_text()
    blocks = re.findall(r"\.holdfast \{([^}]*--page:[^}]*)\}", sheet)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    assert len(found) == 2
    assert found[0].keys() == found[1].keys()
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_can_be_told_apart(scheme: str) -> None:
    """Text has a contrast of 4.5 with what is behind it; borders and the focus of 3: WCAG's level AA."""
    colours = palettes()[["light", "dark"].index(scheme)]
    for ink in ("ink", "soft", "accent", "danger"):
        for ground in ("page", "card"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for ground in ("good", "bad"):
        assert contrast(colours["ink"], colours[ground]) >= 4.5, ground
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    for edge in ("edge", "good-edge", "bad-edge", "accent"):
        for ground in ("page", "card"):
            assert contrast(colours[edge], colours[ground]) >= 3, (edge, ground)
