"""CSRF tokens of WTForms, which Flask-Admin uses, and of Flask-SeaSurf: a login replaces the visitor's."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from flask import Flask, Response, abort, g, request
from flask import session as flask_session
from support.web import Web
from werkzeug.datastructures import MultiDict
from wtforms import Form
from wtforms.csrf.session import SessionCSRF

from holdfast.flask import session


class Protected(Form):
    """A form as in Flask-Admin."""

    class Meta:
        """Where the secret of its token is."""

        csrf = True
        csrf_class = SessionCSRF
        csrf_secret = b"made up for tests: 8Jw2_kPzQm"
        csrf_context = flask_session


def token_of_form() -> str:
    """Return the token of a form."""
    field: Any = Protected()["csrf_token"]
    return str(field.current_token)


def test_a_form_of_wtforms_ends_with_its_visitor() -> None:
    """A visitor's form is refused after the login, and one in the answer to the login is accepted."""
    web = Web()
    visitors = web.see(token_of_form)

    def login() -> str:
        session.bind("ada")
        return token_of_form()

    def accepts(token: str) -> Any:
        return web.see(lambda: Protected(MultiDict({"csrf_token": token})).validate())

    users = web.see(login)
    assert (accepts(visitors), accepts(users)) == (False, True)


@pytest.mark.parametrize("user", [True, {"sub": "ada"}], ids=["flag", "profile"])
def test_a_login_that_names_nobody_ends_the_visitors_forms_too(user: Any) -> None:
    """The secret goes with the visitor, and is there for a second click under the old token; a new profile keeps it."""
    web = Web()
    web.put(csrf_token="visitor's", cart=1)
    clicks = web.twin()
    web.put(user_id=user)
    assert web.data() == {"user_id": user, "cart": 1}
    assert web.data(clicks) == {"csrf_token": "visitor's"}
    web.put(csrf_token="user's")
    web.put(user_id={"sub": "ada", "name": "Ada"})
    assert web.data()["csrf_token"] == "user's"


def add_seasurf(app: Flask, name: str) -> None:
    """Protect the forms of *app* as Flask-SeaSurf does: it keeps the session's token, and stores it at the end."""

    @app.before_request
    def check() -> None:
        g.seasurf_csrf_token = session.get(name) or secrets.token_hex()
        if request.method == "POST" and request.form.get(name) != session.get(name):
            abort(403)

    @app.after_request
    def store(response: Response) -> Response:
        if session.get(name) != g.seasurf_csrf_token:
            session[name] = g.seasurf_csrf_token
        response.set_cookie(name, g.seasurf_csrf_token)
        return response


@pytest.mark.parametrize(("name", "config"), [("_csrf_token", {}), ("form_key", {"CSRF_COOKIE_NAME": "form_key"})])
def test_a_token_of_seasurf_ends_with_its_visitor(name: str, config: dict[str, Any]) -> None:
    """The answer to the login has the token of the user, in the session and in the cookie."""
    web = Web(**config)
    add_seasurf(web.app, name)

    def token() -> str:
        web.do(lambda: None)
        cookie = web.browser.get_cookie(name)
        assert cookie is not None
        return cookie.value

    def post(value: str, view: Any = lambda: None) -> int:
        return web.do(view, method="POST", data={name: value}).status_code

    visitors = token()
    assert post(visitors, lambda: session.bind("ada")) == 200
    cookie = web.browser.get_cookie(name)
    assert cookie is not None
    assert cookie.value != visitors
    assert (post(visitors), post(cookie.value), web.data()) == (403, 200, {name: cookie.value})
