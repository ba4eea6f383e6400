"""What a template sees of the session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import render_template_string
from flask.sessions import SecureCookieSession
from jinja2 import DictLoader
from support.web import Web

from holdfast.flask import FlaskSession, session

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "public-api.md").read_text("utf-8")

#: Holdfast's own names on the session.
OWN = sorted(name for name in set(dir(FlaskSession)).difference(dir(SecureCookieSession)) if not name.startswith("_"))

#: Names that are not for views.
INTERNAL = [
    "data",
    "opened",
    "loaded",
    "state",
    "stored",
    "load",
    "take",
    "spend",
    "wishes",
    "changes",
    "manager",
    "owner_of",
]


def show(web: Web, template: str) -> str:
    """Return *template* rendered in a request."""
    return web.do(lambda: render_template_string(template)).text


def test_the_names_on_the_session_are_documented() -> None:
    """Beyond Flask's own, the session has the names of the page and no other public one."""
    assert set(OWN) == set(re.findall(r"`session\.(\w+)", PAGE))


@pytest.mark.parametrize("name", [*OWN, *INTERNAL])
def test_a_stored_key_is_never_shadowed(web: Web, name: str) -> None:
    """A template prints the stored value, whatever Holdfast has under that name."""
    web.do(lambda: session.update({name: "stored"}))
    for expression in (f"session.{name}", f"session['{name}']", f"session.get('{name}')"):
        assert show(web, "{{ " + expression + " }}") == "stored"


@pytest.mark.parametrize("name", OWN)
def test_nor_is_it_in_an_imported_macro(web: Web, name: str) -> None:
    """A macro that is imported without the template's variables prints the stored value, too."""
    web.app.jinja_env.loader = DictLoader({"macros": "{% macro it() %}{{ session." + name + " }}{% endmacro %}"})
    web.do(lambda: session.update({name: "stored"}))
    assert show(web, "{% import 'macros' as macros %}{{ macros.it() }}") == "stored"


def test_outside_of_a_request_it_is_false(web: Web) -> None:
    """A mail that a task renders with the site's templates has no session, as with Flask's own."""
    with web.app.app_context():
        assert render_template_string("{% if session %}{{ session.name }}{% else %}nobody{% endif %}") == "nobody"


def _sign_in() -> None:
    session.bind("ada")
    session.label = "Work laptop"


def test_without_a_key_holdfast_s_names_are_there(web: Web) -> None:
    """A template can print the handle and the label, and nothing internal."""
    web.do(_sign_in)
    handle = web.see(lambda: session.handle)
    assert show(web, "{{ session.handle }} {{ session.label }}") == f"{handle} Work laptop"
    for name in (*INTERNAL, "_state", "_manager", "_load"):
        assert show(web, "{{ session." + name + " }}") == ""


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ session.permanent }} {{ session['items'] }}", "False stored"),
        ("{% for key, value in session.items() %}{{ key }}={{ value }};{% endfor %}", "user=ada;items=stored;"),
        ("{{ session|length }} {{ 'user' in session }} {{ session|join(', ') }}", "2 True user, items"),
        ("{% if session %}yes{% endif %}", "yes"),
        ("{{ session == {'user': 'ada', 'items': 'stored'} }}", "True"),
        ("{{ session.pop('user') }} {{ 'user' in session }}", "ada False"),
        ("{{ session.missing }}", ""),
        ("{{ dict(session)|tojson }}", '{"items": "stored", "user": "ada"}'),
    ],
)
def test_flask_s_names_are_flask_s(web: Web, template: str, text: str) -> None:
    """What a template does with Flask's own session works, and its names come before keys, as with Flask."""
    web.put(user="ada", items="stored")
    assert show(web, template) == text


def test_a_template_that_does_not_use_it_does_not_open_it(web: Web) -> None:
    """Rendering alone costs no store call."""
    web.put(a=1)
    assert web.calls(lambda: render_template_string("hello")) == {}
