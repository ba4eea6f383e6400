"""The page of a user's devices accepts only its own forms, only from that user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect, generate_csrf
from support.account import Account, done, forms, read
from support.markup import parse
from support.web import rotate

from holdfast.contrib.pages.forms import form_token, is_own_form
from holdfast.flask import session


def refused(account: Account, here: FlaskClient, there: FlaskClient, fields: dict[str, str], **request: Any) -> None:
    """Check that a form is refused, ends no session, and is answered by a page whose forms work."""
    page = read(account.post(here, fields, **request), 400)
    assert page.one("p", role="alert").text == "No change was made: this page was outdated. Try again."
    assert account.is_in(there)
    (fields,) = [form for form in forms(page) if form.get("handle") == account.handle(there)]
    done(account.post(here, fields))
    assert not account.is_in(there)


@pytest.mark.parametrize("value", [None, "", ".", "x", "é.ü", "a" * 32 + "." + "0" * 64, "\udc80", "." * 100_000])
def test_a_form_needs_its_token(account: Account, value: str | None) -> None:
    """Without its token, or with one that is made up, a form is refused."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    del fields["form_token"]
    if value is not None:
        fields["form_token"] = value.encode(errors="replace").decode()
    refused(account, here, there, fields)


@pytest.mark.parametrize("position", [0, 31, 33, 96])
def test_every_character_of_a_form_token_counts(account: Account, position: int) -> None:
    """A token that differs in one character is refused."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    token = fields["form_token"]
    fields["form_token"] = token[:position] + ("0" if token[position] != "0" else "1") + token[position + 1 :]
    refused(account, here, there, fields)


def test_a_form_token_is_good_for_one_session(account: Account) -> None:
    """A token of the same user's other session, of another user's, or of a visitor's is refused."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    for stranger in (there, account.sign_in("bob"), account.sign_in("mallory")):
        token = account.form(stranger, "name")["form_token"]
        assert account.post(here, {**fields, "form_token": token}).status_code == 400
    assert account.is_in(there)


def end_others() -> None:
    """End the user's other sessions, as the view of a request."""
    session.revoke_others()


def sign_in_anew() -> None:
    """Sign out and in again, as the view of a request."""
    session.clear()
    session.bind("ada")


@pytest.mark.parametrize("change", [rotate, lambda: session.bind("ada"), end_others, sign_in_anew])
def test_a_form_token_dies_with_the_session_s_token(account: Account, change: Callable[[], Any]) -> None:
    """A form from before a rotation or a login is refused after it."""
    here = account.sign_in()
    account.sign_in()
    fields = account.form(here, "end-others")
    account.do(lambda: str(change()), here)
    account.clock.advance(1)
    refused(account, here, account.sign_in(), fields)


def test_a_visitor_s_form_token_is_worth_nothing_after_a_login(account: Account) -> None:
    """A token that was made for the session before the login, which somebody may have planted, is refused after it."""
    here = account.app.test_client()
    account.put(here, cart=[1])
    token = account.see(form_token, here)
    assert len(token) == 97
    account.sign_in(browser=here)
    there = account.sign_in()
    refused(account, here, there, {"action": "end-others", "form_token": token})


def test_there_is_no_form_token_without_a_session(account: Account) -> None:
    """Without a stored session there is no token, and none that could be guessed."""
    assert account.see(form_token) == ""
    assert account.do(lambda: str(is_own_form()), method="POST", data={"form_token": ""}).text == "False"
    assert account.do(lambda: str(is_own_form()), method="POST", data={"form_token": "."}).text == "False"


def test_a_form_token_differs_each_time(account: Account) -> None:
    """No two forms have the same token, so that compression does not reveal it."""
    here = account.sign_in()
    account.sign_in()
    tokens = [field["value"] for _ in range(3) for field in account.page(here).all("input", name="form_token")]
    assert len(set(tokens)) == len(tokens) == 9


def test_forms_store_nothing(account: Account) -> None:
    """Making forms does not write to the session."""
    here = account.sign_in()
    before = account.data(here)
    account.page(here)
    assert account.data(here) == before


FROM = "http://localhost"


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Origin": FROM}, True),
        ({"Origin": "https://localhost"}, True),
        ({}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": FROM}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "http://shop.localhost"}, False),
        ({"Origin": "http://localhost:8080"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
    ],
)
def test_a_form_comes_from_the_page_s_own_origin(account: Account, headers: dict[str, str], accepted: bool) -> None:
    """Even with its token, a form that a browser says comes from elsewhere is refused."""
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    if accepted:
        done(account.post(here, fields, headers=headers))
        assert not account.is_in(there)
    else:
        refused(account, here, there, fields, headers=headers)


def test_flask_wtf_accepts_the_forms(account: Account) -> None:
    """Where Flask-WTF checks every form of the application, the page's forms have its token, under its name, too."""
    account.app.config["WTF_CSRF_FIELD_NAME"] = "wtf"
    CSRFProtect(account.app)
    here, there = account.sign_in(), None
    account.app.config["WTF_CSRF_ENABLED"] = False
    there = account.sign_in()
    account.app.config["WTF_CSRF_ENABLED"] = True
    fields = account.form(here, "end", account.handle(there))
    assert account.post(here, {**fields, "wtf": ""}).status_code == 400
    assert account.is_in(there)
    done(account.post(here, fields))
    assert not account.is_in(there)
    done(account.post(here, {**account.form(here, "name"), "label": "Work laptop"}))


def test_flask_wtf_s_token_is_not_enough(account: Account) -> None:
    """The page's own check does not rest on Flask-WTF's."""
    CSRFProtect(account.app)
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    assert fields["csrf_token"]
    refused(account, here, there, {**fields, "form_token": account.see(generate_csrf, here)})


def test_flask_wtf_s_check_of_the_referrer_passes(account: Account) -> None:
    """Over https Flask-WTF asks for a referrer, which browsers send from this page."""
    CSRFProtect(account.app)
    here = account.app.test_client()
    account.do(lambda: session.bind("ada"), here, base_url="https://localhost")
    options = {"base_url": "https://localhost", "headers": {"Referer": "https://localhost/account/devices/"}}
    response = here.get("/account/devices/", base_url="https://localhost")
    assert response.headers["Referrer-Policy"] == "same-origin"
    (fields,) = forms(parse(response.text))
    done(account.post(here, {**fields, "label": "x"}, **options))
