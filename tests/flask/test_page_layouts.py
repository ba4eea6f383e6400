"""The ready pages in an application's own layout: their requirements, and their separation from it."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from flask import Flask
from jinja2 import DictLoader
from support.account import Account, cards
from support.desk import Desk, sign_in
from support.markup import Element, parse
from support.web import Web

from holdfast.flask import session

OPERATOR = ["/operator/", *(f"/operator/{name}" for name in ("user?id=ada", "breakdown", "everyone"))]

#: An application's layout with every block whose name a page of ours might use.
LAYOUT = """<!doctype html><html><head><title>{% block title %}{% endblock %} – Shop</title>
{% block head %}<link rel="stylesheet" href="/shop.css">{% endblock %}</head>
<body>{% block page %}<header>{% block header %}The shop{% endblock %}</header><nav>{{ menu }}</nav>
<main>{% block MAIN %}{% endblock %}</main>{% endblock %}</body></html>"""

BASE = """{% extends "layout.html" %}
{% block head %}
  {{ super() }}<link rel="stylesheet" href="{{ url_for('.static', filename='holdfast.css') }}">
{% endblock %}
{% block main %}
  <div class="holdfast"><h1>{{ self.title() }}</h1>{% block content %}{% endblock %}</div>
{% endblock %}"""


def lay_out(app: Flask, layout: str = LAYOUT.replace("MAIN", "main"), base: str = BASE) -> None:
    """Give the application a layout, and the pages its base."""
    app.jinja_loader = DictLoader({"layout.html": layout, "holdfast/base.html": base})
    app.context_processor(lambda: {"menu": f"signed in: {session.owner is not None}"})


def sheets(page: Element) -> list[str]:
    """Return the stylesheets of a page."""
    return [link["href"] for link in page.all("link", rel="stylesheet")]


def ours(page: Element) -> Element:
    """Return the part of the page that is ours, within what is the layout's."""
    assert page.one("header").text == "The shop"
    assert page.all("nav")[0].text == "signed in: True"
    return page.one("main").one("div", class_="holdfast")


def test_the_devices_are_in_the_layout() -> None:
    """The page is where the layout wants it, with one heading, and with the layout's stylesheet and the page's."""
    account = Account()
    lay_out(account.app)
    here = account.sign_in()
    account.sign_in()
    page = account.page(here)
    assert page.one("title").text == "Your devices – Shop"
    assert sheets(page) == ["/shop.css", "/account/devices/static/holdfast.css"]
    assert len(cards(ours(page))) == 2
    assert [heading.text for heading in page.all("h1")] == ["Your devices"]


@pytest.fixture
def desk() -> Desk:
    """Return an operator's page in the layout, with something on each."""
    web = Web()
    lay_out(web.app)
    desk = Desk(web, authorize=lambda: True)
    sign_in(web)
    return desk


@pytest.mark.parametrize("path", OPERATOR)
def test_the_operator_s_pages_are_in_the_layout(desk: Desk, path: str) -> None:
    """Each has all the stylesheets, the layout around it, and in it the tabs, of which one is the page's own."""
    page = parse(desk.text(path))
    assert sheets(page) == ["/shop.css", "/operator/static/holdfast.css", "/operator/static/operator.css"]
    assert page.one("meta", name="robots")["content"] == "noindex, nofollow"
    part = ours(page)
    tabs = part.one("nav", **{"aria-label": "Operator"}).all("a")
    assert len(tabs) == 4
    assert [tab["href"] for tab in tabs if "aria-current" in tab.attributes] == [path.partition("?")[0]]
    assert len(part.all("h1")) == 1


@pytest.mark.parametrize("path", OPERATOR)
def test_a_layout_may_have_a_block_for_the_content(path: str) -> None:
    """A layout whose own block has the name of the page's needs an element with the class around it, and a head."""
    web = Web()
    lay_out(
        web.app,
        LAYOUT.replace("MAIN", "content").replace("<main>", '<main class="holdfast">'),
        BASE.partition("{% block main %}")[0],
    )
    page = parse(Desk(web, authorize=lambda: True).text(path))
    assert sheets(page)[1:] == ["/operator/static/holdfast.css", "/operator/static/operator.css"]
    assert len(page.one("main", class_="holdfast").all("a", **{"aria-current": "page"})) == 1
    assert page.all("nav")[0].text == "signed in: True"


def test_an_outage_is_told_in_a_layout_that_uses_the_session(desk: Desk) -> None:
    """Where the layout asks for the session as well, the page says that the store is down, and does not fail."""
    with desk.web.failing.outage():
        response = desk.get("/operator/")
    assert response.status_code == 503
    assert "does not answer" in parse(response.text).one("main").text


# --- classes ---------------------------------------------------------------------------------------------------------


def test_no_class_is_one_that_an_application_has() -> None:
    """All selectors of the stylesheets are in `holdfast`, and every other class begins with `hf-`."""
    for name in ("pages/static/holdfast.css", "operator_page/static/operator.css"):
        text = (resources.files("holdfast.contrib") / name).read_text("utf-8")
        sheet = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for rule in re.findall(r"([^{}]+)\{", sheet):
            selectors = [] if rule.strip().startswith("@") else [one.strip() for one in rule.split(",")]
            assert all(re.match(r"(body)?\.holdfast\b", one) for one in selectors), rule
            assert all(one == "holdfast" or one[:3] == "hf-" for one in re.findall(r"\.([a-z][\w-]*)", rule)), rule


def test_every_class_of_the_pages_is_prefixed(desk: Desk) -> None:
    """No rule of the application's meets an element of ours by its class."""
    account = Account()
    here = account.sign_in()
    account.do(lambda: setattr(session, "label", "A laptop"), here)
    account.sign_in()
    for page in [account.page(here), *(parse(desk.text(path)) for path in OPERATOR)]:
        found = {name for element in page.walk() for name in element.attributes.get("class", "").split()}
        assert found > {"holdfast"}
        assert {name for name in found if not name.startswith("hf-")} == {"holdfast"}
