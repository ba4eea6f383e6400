"""Logins that are not announced, logins over a dead token, and the data that a login finds."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.web import STRANGER, Web, cookies_set, end

from holdfast.flask import session
from holdfast.sessions.state import IDENTITY


class Text(str, Enum):
    """Text with names."""

    ADA = "ada"


class Number(int, Enum):
    """Numbers with names."""

    ADA = 7


NOT_USERS: list[Any] = [None, "", True, False, b"ada", [], ["ada"], {}, set(), ()]


def sign_in(web: Web, user: str, browser: FlaskClient | None = None, key: str = "username") -> Any:
    """Sign *user* in as Flask's quickstart does."""
    return web.do(lambda: session.update({key: user}), browser)


@pytest.mark.parametrize("key", ["user_id", "username", "identity.id"])
def test_setting_an_identity_key_is_a_login(web: Web, key: str) -> None:
    """A planted cookie is worth nothing after it, the data stays, and the session is its user's."""
    web.put(cart=["pen"])
    planted = web.token()
    sign_in(web, "ada", key=key)
    assert web.token() != planted
    assert web.data() == {"cart": ["pen"], key: "ada"}
    assert web.data(web.with_token(planted)) == {}
    assert len(web.sessions.of("ada")) == 1


@pytest.mark.parametrize("remove", [lambda: session.pop("username"), lambda: session.update(username=None)])
def test_removing_it_is_a_logout(web: Web, remove: Any) -> None:
    """The user has no session any more, and the old token is dead; other data stays, as in Flask."""
    web.put(cart=["pen"], username="ada")
    token = web.token()
    web.do(remove)
    assert web.sessions.of("ada") == []
    assert web.data()["cart"] == ["pen"]
    assert web.data(web.with_token(token)) == {}


@pytest.mark.parametrize("label", [None, "Bob's phone"])
def test_another_value_is_another_user(web: Web, label: str | None) -> None:
    """The session moves to the new user, with its data, since a name alone may be a nickname, and without its label.

    That is the end of the first user's session, and reported.
    """
    web.put(cart=["pen"], username="ada")
    web.do(lambda: setattr(session, "label", "Ada's laptop"))
    web.take_heard()
    web.do(lambda: session.update(username="bob") if label is None else _sign_in_with(label))
    assert [(each["owner"], each["reason"]) for name, each in web.heard if name == "ended"] == [
        (web.sessions.manager.keys.owner_of("ada"), "replaced")
    ]
    assert web.sessions.of("ada") == []
    assert [entry.label for entry in web.sessions.of("bob")] == [label]
    assert web.data()["cart"] == ["pen"]


def _sign_in_with(label: str) -> None:
    session.label = label
    session["username"] = "bob"


@pytest.mark.parametrize("value", [True, {"sub": "ada"}, ["ada"], b"ada"], ids=repr)
def test_a_value_that_names_no_user_changes_the_token(value: Any) -> None:
    """So an application that stores a flag or a profile at a login keeps no planted cookie, and no copy at a logout."""
    web = Web(SESSION_IDENTITY_KEYS=["user"])
    web.put(cart=["pen"])
    planted = web.token()
    web.put(user=value)
    copied = web.token()
    assert web.data() == {"cart": ["pen"], "user": value}
    assert web.data(web.with_token(planted)) == {}
    late = web.with_token(planted)
    web.do(lambda: session.update(user=value), late)
    assert web.data(late) == {"user": value}, "the answer to the first login was lost"
    web.put(user=value)
    assert web.token() == copied, "the same value costs no new token"
    web.do(lambda: session.pop("user"))
    assert web.data(web.with_token(copied)) == {}
    assert web.data() == {"cart": ["pen"]}


def test_a_logout_that_removes_a_flag_is_kept_after_an_error() -> None:
    """The view raises after it: the session is over, as after any other logout."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.put(user_id=True, a=1)
    copy = web.twin()

    def view() -> None:
        del session["user_id"]
        raise LookupError

    assert web.do(view).status_code == 500
    assert web.data(copy) == {}


@pytest.mark.parametrize("change", ["ada", None], ids=["in", "out"])
def test_applying_a_function_to_flask_logins_key_is_no_less(web: Web, change: str | None) -> None:
    """`session.apply` signs in and out as an assignment does: the token changes, and the session is its user's."""
    web.put(_user_id="ada" if change is None else None, a=1)
    copy = web.twin()
    web.do(lambda: session.apply(IDENTITY, lambda _: change))
    assert web.data(copy) == {}
    assert web.data() == {IDENTITY: change, "a": 1}
    assert len(web.sessions.of("ada")) == (change is not None)


@pytest.mark.parametrize("leave", [False, True], ids=["over", "after a logout"])
def test_two_users_in_one_request_share_nothing(web: Web, leave: bool) -> None:
    """What the request has stored for the first one is not the second one's."""
    web.put(a=1)

    def view() -> None:
        session[IDENTITY], session["secret"] = "ada", "ada's"
        if leave:
            del session[IDENTITY]
        session.bind("bob")

    web.do(view)
    assert web.data() == {}
    assert len(web.sessions.of("bob")) == 1


def test_a_name_that_was_left_behind_is_no_hindrance(web: Web) -> None:
    """After a logout that left the name in the session, as Flask-Login's may, another name signs in."""
    web.do(lambda: session.update(_user_id="1", username="ada"))
    web.do(lambda: session.pop("_user_id"))
    assert web.do(lambda: str(session.owner)).text == "None"
    sign_in(web, "bob")
    assert len(web.sessions.of("bob")) == 1
    token = web.token()
    web.do(lambda: session.pop("username"))
    assert (web.sessions.of("bob"), web.token() == token) == ([], False)


def test_the_same_value_changes_nothing(web: Web) -> None:
    """Setting it again is no login, and costs no new token."""
    sign_in(web, "ada")
    token = web.token()
    sign_in(web, "ada")
    assert web.token() == token


def test_bind_counts_more_than_an_identity_key(web: Web) -> None:
    """A session that was bound keeps its user, whatever name the application shows."""

    def view() -> None:
        session.bind(42)
        session["username"] = "ada"

    web.do(view)
    web.do(lambda: session.pop("username"))
    assert len(web.sessions.of(42)) == 1
    assert web.sessions.of("ada") == []


def test_identity_keys_can_be_switched_off() -> None:
    """With an empty list no key is more than data."""
    web = Web(SESSION_IDENTITY_KEYS=[])
    web.put(a=1)
    token = web.token()
    sign_in(web, "ada")
    assert web.token() == token
    assert web.sessions.of("ada") == []


def test_a_login_under_a_replaced_token_signs_in(web: Web) -> None:
    """The answer to a login is lost, the user signs in again with the old cookie, and is signed in."""
    web.put(a=1)
    other = web.twin()
    web.do(lambda: session.bind("ada"))
    response = web.do(lambda: session.bind("ada"), other)
    assert cookies_set(response)
    assert web.see(lambda: session.owner, other) == web.see(lambda: session.owner)
    assert web.see(lambda: session.owner) is not None


def test_without_a_login_a_replaced_token_stays_read_only(web: Web) -> None:
    """Any other change under it is dropped, and no cookie disturbs the new one."""
    web.put(a=1)
    other = web.twin()
    web.do(lambda: session.bind("ada"))
    assert cookies_set(web.put(other, b=2)) == []


def test_another_user_after_a_logout_starts_from_empty_data(web: Web) -> None:
    """The data of a user who signed out is not the next user's; the same user finds it again."""

    def view(user: str | None) -> Any:
        return lambda: session.update(_user_id=user) if user else session.pop("_user_id")

    web.do(view("ada"))
    web.put(secret="ada's")
    web.do(view(None))
    assert web.data()["secret"] == "ada's"
    web.do(view("ada"))
    assert web.data()["secret"] == "ada's"
    web.do(view(None))
    web.put(other=1)
    web.do(lambda: session.bind("bob"))
    assert web.data() == {}


@pytest.mark.parametrize("user", [Text.ADA, Number.ADA])
def test_a_member_of_an_enumeration_is_its_value(web: Web, user: Any) -> None:
    """A session keeps the value: it names the same user, and its removal is a logout."""
    web.do(lambda: session.bind(user))
    assert web.see(lambda: session.owner) == web.sessions.manager.keys.owner_of(user.value)
    web.do(end)
    web.put(user_id=user)
    copy = web.twin()
    assert len(web.sessions.of(user.value)) == len(web.sessions.of(user)) == 1
    web.do(lambda: session.pop("user_id"))
    assert web.data(copy) == {}
    assert web.sessions.of(user) == []


@pytest.mark.parametrize("user", NOT_USERS, ids=repr)
def test_nothing_but_an_id_is_a_user(web: Web, user: Any) -> None:
    """Wherever a user id is taken, a value that cannot be one is a TypeError."""
    for call in (web.sessions.of, web.sessions.revoke_all):
        with pytest.raises(TypeError):
            call(user)
    with pytest.raises(TypeError):
        web.do(lambda: session.bind(user))
    assert web.records() == 0


def test_a_request_longer_than_the_idle_timeout_keeps_its_user() -> None:
    """An upload of 960 seconds with a timeout of 900: the use counts from its beginning."""
    web = Web(PERMANENT_SESSION_LIFETIME=900)
    web.put(a=1)

    def upload() -> Any:
        web.clock.advance(960)
        return session["a"]

    assert web.see(upload) == 1


@pytest.mark.parametrize("ahead", [61, 3600])
def test_a_clock_that_is_behind_leaves_the_cookie(web: Web, ahead: int) -> None:
    """A session from a host whose clock is ahead is not judged here: read-only, and its cookie stays."""
    web.clock.advance(ahead)
    web.put(a=1)
    token = web.token()
    web.clock.advance(-ahead)
    assert cookies_set(web.put(b=2)) == []
    web.clock.advance(ahead)
    assert web.data() == {"a": 1}
    assert web.token() == token


def test_a_record_in_a_newer_format_leaves_the_cookie(web: Web) -> None:
    """A record that a newer release wrote is not replaced, and neither is its cookie; a login begins anew."""
    web.put(a=1)
    [(key, record)] = web.memory.scan().items
    web.memory.replace(key, b"\x7fnewer", expect=record.version, expires_at=record.expires_at)
    assert cookies_set(web.put(b=2)) == []
    assert cookies_set(web.do(lambda: session.bind("ada")))


def test_an_unknown_token_is_replaced(web: Web) -> None:
    """A well-formed token that leads nowhere does not keep a visitor from a session."""
    assert cookies_set(web.put(web.with_token(STRANGER), a=1))
