"""The programs and templates on the page about the page of a user's devices work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import DictLoader
from support.account import cards
from support.markup import parse
from support.pages import blocks, text_of

from holdfast.flask import session

PAGE = "docs/how-to/devices-page.md"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """Return the page's application, with a view that signs Ada in."""
    program = blocks(PAGE, "python")[0]
    names: dict[str, Any] = {"__name__": "page"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), names)  # noqa: S102  # the page's own program
    app: Flask = names["app"]

    @app.get("/login")
    def login() -> str:
        session.bind("ada")
        return "Signed in"

    yield app
    names["sessions"].manager.store.close()


def sign_in(app: Flask) -> FlaskClient:
    """Return a browser in which Ada is signed in."""
    browser = app.test_client()
    browser.get("/login")
    return browser


def test_the_page_is_where_it_is_said_to_be(app: Flask) -> None:
    """Three lines add the page, at the path and under the name in the docs."""
    here = sign_in(app)
    assert len(cards(parse(here.get("/account/devices/").text))) == 1
    with app.test_request_context():
        assert app.url_for("devices.page") == "/account/devices/"
    assert app.test_client().get("/account/devices/").status_code == 401


def test_the_templates_of_the_page_work(app: Flask) -> None:
    """The page is in the application's layout, with the paragraph and the detail that its templates add."""
    base, devices = blocks(PAGE, "html")
    head = '{% block title %}{% endblock %}{% block head %}<link href="/shop.css">{% endblock %}'
    layout = f"<html><head>{head}</head><body>{{% block main %}}{{% endblock %}}</body></html>"
    app.jinja_loader = DictLoader({"layout.html": layout, "holdfast/base.html": base, "holdfast/devices.html": devices})
    here = sign_in(app)
    page = parse(here.get("/account/devices/").text)
    assert [link["href"] for link in page.all("link")] == ["/shop.css", "/account/devices/static/holdfast.css"]
    assert page.one("h1").text == "Your devices"
    assert "Call us." in page.one("div", class_="holdfast").text
    assert cards(page)[0]["Signed in for"] == "as long as the browser is open"


def test_pybabel_finds_the_texts_of_the_page(tmp_path: Path) -> None:
    """The command of the page, with its line of ``babel.cfg``, collects what templates and views say."""
    pytest.importorskip("babel", reason="it is there where the documentation is built")
    [mapping] = re.findall(r"with `(\[jinja2: .*\])` in `babel.cfg`", text_of(PAGE))
    (tmp_path / "babel.cfg").write_text(f"[python: **.py]\n{mapping}\n")
    [command] = blocks(PAGE, "sh")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(command, shell=True, cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True)  # noqa: S602  # the page's own command
    found = (tmp_path / "messages.pot").read_text("utf-8")
    for text in (
        "Your devices",
        "The session has ended: %(device)s.",
        "most recently used of",
        'lang=\\"en\\" dir=\\"ltr\\"',
    ):
        assert text in found
