"""Two browsers in the demo shop: a user's sessions on two devices, and the operator's page, on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.everywhere import KINDS, url_of_kind
from support.servers import Server, private_folder
from support.sql import fresh_database
from support.visitor import Visitor, open_shop

pytestmark = pytest.mark.browser

DEVICES, ACCOUNT = "/account/devices/", "/account"
LINUX, IPHONE = "Chrome on Linux", "Mobile Safari on iOS (iPhone)"


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=KINDS[kind]) for kind in ("sqlite", "redis", "postgresql", "mongodb")],
)
def shop(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The demo, with its sessions in a place of their own on each kind of store by turns."""
    folder = private_folder()
    if request.param == "postgresql":  # its URL for a test would not outlive the test
        with fresh_database(request.getfixturevalue("postgresql_server")) as url:
            server = open_shop(url, folder)
            yield server
            server.stop()
    else:
        server = open_shop(url_of_kind(request.param, request, folder), folder)
        yield server
        server.stop()


def devices(visitor: Visitor) -> list[str]:
    """Return what the user's page of devices lists."""
    visitor.go(DEVICES)
    return visitor.texts(".hf-card h2 > span:first-child")


def test_one_device_sees_the_other_and_ends_it(visitor: Visitor, other_visitor: Visitor) -> None:
    """Each browser lists both; the one that the other ends is out on its next request, and the other stays in."""
    visitor.sign_in("anouk")
    other_visitor.sign_in("anouk")
    assert devices(visitor) == [LINUX, IPHONE]
    assert devices(other_visitor) == [IPHONE, LINUX]

    visitor.go(DEVICES)
    visitor.click("#end-2")
    assert visitor.texts(".flash") == [f"The session has ended: {IPHONE}."]
    other_visitor.go(DEVICES)
    assert other_visitor.texts("h1") == ["Sign in"]
    assert other_visitor.user is None
    assert devices(visitor) == [LINUX]
    assert visitor.user == "Anouk"


def test_a_new_password_ends_every_other_session(visitor: Visitor, other_visitor: Visitor) -> None:
    """After the change only the browser that made it is signed in, and the old password is refused."""
    other_visitor.sign_in("bram")
    visitor.sign_in("bram")
    visitor.sign_in_elsewhere("bram")
    assert len(devices(visitor)) == 3

    visitor.go(ACCOUNT)
    visitor.find("#old").send_keys("ahoy")
    visitor.find("#new").send_keys("land ahoy")
    visitor.click("[aria-labelledby=password] button")
    assert visitor.texts(".flash") == ["You have a new password. Other sessions ended: 2."]
    assert devices(visitor) == [LINUX]
    assert other_visitor.user is None
    other_visitor.sign_in("bram")
    assert other_visitor.texts(".flash") == ["That is not the password."]
    other_visitor.sign_in("bram", password="land ahoy")
    assert other_visitor.user == "Bram"


def test_the_operator_ends_one_users_sessions_and_then_everyones(visitor: Visitor, other_visitor: Visitor) -> None:
    """A user is out on the next request after the operator ends their sessions, or everyone's; the operator stays."""
    visitor.sign_in("chiara")
    other_visitor.sign_in("anouk")
    visitor.go("/operator/user?id=anouk")
    assert IPHONE in visitor.texts("tbody th")
    visitor.click("form.hf-card:last-of-type button")
    assert "All sessions of this user have ended." in visitor.find(".flash").text
    assert other_visitor.user is None

    other_visitor.sign_in("anouk")
    other_visitor.click("button[value=bell]")
    visitor.go("/operator/everyone")
    visitor.find("#word").send_keys("everyone")
    visitor.click("button.hf-danger")
    assert "Everyone’s sessions have ended" in visitor.find(".flash").text
    assert other_visitor.user is None
    assert other_visitor.cart() == {}
    assert visitor.user == "Chiara"
