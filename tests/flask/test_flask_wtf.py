"""Flask-WTF on Holdfast: a CSRF token is the session's secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Response
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect, generate_csrf
from support.web import Web, cookies_set, end, rotate

from holdfast.flask import session


@pytest.fixture
def shop() -> Web:
    """Return an application that checks the CSRF token of every POST."""
    web = Web()
    CSRFProtect(web.app)
    return web


def form(shop: Web, browser: FlaskClient | None = None) -> str:
    """Return the CSRF token of a form."""
    return shop.do(generate_csrf, browser).text


def post(shop: Web, token: str | None, browser: FlaskClient | None = None) -> int:
    """Return the status of a form sent with *token*."""
    return shop.do(lambda: None, browser, method="POST", data={"csrf_token": token} if token else {}).status_code


def test_a_form_is_accepted_with_its_token(shop: Web) -> None:
    """A token is valid for every form of its session, and for nothing else."""
    token = form(shop)
    assert post(shop, token) == 200
    assert post(shop, token) == 200
    assert post(shop, None) == 400
    assert post(shop, "x" + token) == 400


def test_a_token_of_another_session_is_refused(shop: Web) -> None:
    """A form sent with somebody else's token is refused."""
    token = form(shop)
    stranger = shop.app.test_client()
    form(shop, stranger)
    assert post(shop, token, stranger) == 400


def test_a_form_costs_one_write_and_then_reads(shop: Web) -> None:
    """The first form stores the session's secret; later ones only read it."""
    assert shop.calls(generate_csrf) == {"create": 1}
    assert shop.calls(generate_csrf) == {"load": 1}


def test_a_refused_form_stores_nothing(shop: Web) -> None:
    """A POST without a session is refused and leaves no record and no cookie."""
    response = shop.do(lambda: session.update(a=1), method="POST", data={"csrf_token": "made up"})
    assert response.status_code == 400
    assert not cookies_set(response)
    assert shop.records() == 0


def test_a_token_survives_the_same_user_s_rotations(shop: Web) -> None:
    """A form that was open in another tab still works after a rotation, and after a login of the same user."""
    token = form(shop)
    shop.do(rotate)
    assert post(shop, token) == 200
    shop.do(lambda: session.bind("ada"))
    token = form(shop)
    for change in (rotate, lambda: session.bind("ada")):
        shop.do(change)
        assert post(shop, token) == 200


def test_a_visitor_s_token_ends_with_the_login(shop: Web) -> None:
    """A token that was made before the login, perhaps for a planted cookie, is worth nothing after it."""
    token = form(shop)
    shop.do(lambda: session.bind("ada"))
    assert post(shop, token) == 400
    assert post(shop, form(shop)) == 200


def test_so_does_one_under_another_name() -> None:
    """The name that the application has given Flask-WTF for it counts."""
    shop = Web(WTF_CSRF_FIELD_NAME="form_key")
    shop.do(lambda: generate_csrf(token_key="form_key"))
    assert "form_key" in shop.data()
    shop.do(lambda: session.bind("ada"))
    assert shop.data() == {}


@pytest.mark.parametrize("change", [lambda: session.bind("bob"), end], ids=["another user", "logout"])
def test_a_token_ends_with_its_user(shop: Web, change: object) -> None:
    """A token from before a logout, or before another user's login, is refused."""
    assert callable(change)
    shop.do(lambda: session.bind("ada"))
    token = form(shop)
    shop.do(change)
    assert post(shop, token) == 400
    assert post(shop, form(shop)) == 200


def test_two_first_forms_at_once(shop: Web) -> None:
    """Two tabs of a stored session that make their first token at once agree on the one saved last."""
    shop.put(cart=[1])
    other = shop.twin()

    def view() -> Response:
        session.get("cart")
        form(shop, other)
        return Response(generate_csrf())

    assert post(shop, shop.do(view).text) == 200


@pytest.mark.parametrize(
    ("user", "sign_in"),
    [
        (None, lambda: session.bind("ada")),
        (None, lambda: session.update(user_id="ada")),
        ("bob", lambda: session.bind("ada")),
    ],
)
def test_a_page_that_signs_in_may_have_a_form(shop: Web, user: str | None, sign_in: Callable[[], None]) -> None:
    """The form in the answer to a login, of a visitor or in another user's session, has the token of the new user."""
    if user is not None:
        shop.do(lambda: session.bind(user))
    token = form(shop)

    def view() -> str:
        sign_in()
        return str(generate_csrf())

    answer = shop.do(view, method="POST", data={"csrf_token": token})
    assert answer.status_code == 200
    assert post(shop, answer.text) == 200
    assert answer.text != token
