"""The documentation of the operator's page is true."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from flask import Flask
from jinja2 import DictLoader
from support.markup import parse
from support.pages import blocks
from support.web import Web

from holdfast.contrib.operator_page import operator_page
from holdfast.flask import session

PAGE = "docs/how-to/operator-page.md"
DEVICES = "docs/how-to/devices-page.md"


def test_the_program_lets_operators_in(tmp_path: Path) -> None:
    """The page's own program lets in an administrator only."""
    (program,) = blocks(PAGE, "python")
    namespace: dict[str, Any] = {"__name__": "documented"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), namespace)  # noqa: S102  # the page's own program
    app: Flask = namespace["app"]

    @app.get("/in")
    def sign_in() -> str:
        session["role"] = "admin"
        return "Signed in"

    browser = app.test_client()
    assert browser.get("/operator/").status_code == 404
    browser.get("/in")
    assert browser.get("/operator/").status_code == 200


def test_the_base_of_the_devices_page_serves_the_operator_s() -> None:
    """With the documented base, a layout that has a title, a head and a main part shows all that the page needs."""
    head = "<title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}"
    layout = f"<html><head>{head}</head><body>{{% block main %}}{{% endblock %}}</body></html>"
    web = Web()
    web.app.jinja_loader = DictLoader({"layout.html": layout, "holdfast/base.html": blocks(DEVICES, "html")[0]})
    web.app.register_blueprint(operator_page(web.sessions, authorize=lambda: True))
    page = parse(web.browser.get("/operator/everyone").text)
    assert page.one("title").text == page.one("h1").text == "End everyone’s sessions"
    sheets = [link["href"] for link in page.all("link")]
    assert sheets == ["/operator/static/holdfast.css", "/operator/static/operator.css"]
    part = page.one("div", class_="holdfast")
    assert len(part.one("nav").all("a")) == 4
    assert len(part.all("form")) == 1


def test_every_argument_is_there() -> None:
    """The table names each argument that an application gives, with its default."""
    text = (Path(__file__).resolve().parents[2] / PAGE).read_text("utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", text, re.MULTILINE))
    given = inspect.signature(operator_page).parameters
    expected = {
        name: "" if one.default is inspect.Parameter.empty else repr(one.default)
        for name, one in given.items()
        if name not in {"sessions", "timer"}
    }
    assert documented == expected
