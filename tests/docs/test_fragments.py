"""The Python blocks of the docs that are part of an application run in one, and do what the page says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from flask import Config, Flask, redirect, request
from flask_socketio import SocketIOTestClient
from support import seams
from support.accounted import FRAGMENTS
from support.pages import Block

from holdfast import open_store
from holdfast.contrib.devices_page import devices_page
from holdfast.flask import Session, session
from holdfast.records.encryption import new_key
from holdfast.stores.contract import Closes

#: What the text around a block assumes of the application, by the page.
ASSUMED = {
    "README.md": "from flask_login import LoginManager",
    "docs/explanation/guarantees.md": "from holdfast import RecordTooLarge",
    "docs/how-to/devices-page.md": "from holdfast.contrib.devices_page import devices_page\nsessions = Session(app)",
    "docs/how-to/background-work.md": "number, current_user = 7, SimpleNamespace(get_id=lambda: 'ada')",
    "docs/how-to/client-side.md": "app.config['SESSION_STORE'] = 'cookie://'",
    "docs/how-to/sealing.md": "app.config['SESSION_SEAL_KEYS'] = [old]",
    "docs/reference/backends/sql.md": "import flask_sqlalchemy\n"
    "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite://'\n"
    "db = flask_sqlalchemy.SQLAlchemy(app)",
}


class Recorded(Config):
    """A configuration that also keeps each value of ``SESSION_STORE`` that it had."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.root_path, dict(config))
        self.stores = list[object]()

    def __setitem__(self, name: str, value: object) -> None:
        if name == "SESSION_STORE":
            self.stores.append(value)
        super().__setitem__(name, value)


class Shop:
    """An application into which the block of a page is put."""

    def __init__(self, block: Block, folder: Path) -> None:
        self.app = Flask("shop", instance_path=str(folder))
        self.app.config["SECRET_KEY"] = "made up for tests: B7u-q2Xn_fLw90Rk"
        self.config = self.app.config = Recorded(self.app.config)
        self.sent = list[dict[str, Any]]()
        self.names: dict[str, Any] = {
            "app": self.app,
            "session": session,
            "request": request,
            "redirect": redirect,
            "timedelta": timedelta,
            "os": SimpleNamespace(environ={"SESSION_SEAL_KEY": new_key()}),
            "new": new_key(),
            "old": new_key(),
            "Session": Session,
            "sqlalchemy": sqlalchemy,
            "SimpleNamespace": SimpleNamespace,
            "user": SimpleNamespace(id="ada"),
            "celery": SimpleNamespace(task=lambda function: function),
            "send_receipt": SimpleNamespace(delay=lambda **values: self.sent.append(values)),
            "flask_babel": SimpleNamespace(format_datetime=lambda at, _: f"on {at:%A}"),
        }
        exec(ASSUMED.get(block.page, ""), self.names)  # noqa: S102  # what is above
        self.config.stores.clear()
        text = block.text.replace("/srv/", f"{folder}/").replace("/etc/ssl/redis.pem", __file__)
        exec(text, self.names)  # noqa: S102  # the page's own lines
        if "holdfast" not in self.app.extensions:
            Session(self.app)
        self.sessions: Session = self.app.extensions["holdfast"]
        self.names["sessions"] = self.sessions
        self.app.add_url_rule("/act", view_func=self._act)

    def close(self) -> None:
        """Close the stores, and the clients that the block made."""
        for store in [getattr(self.sessions.manager, "store", None), self.names.get("client"), *self.config.stores]:
            if isinstance(store, Closes):
                store.close()

    def browser(self, user: str = "ada") -> Any:
        """Return a browser in which *user* is signed in."""
        browser = self.app.test_client()
        self.do(browser, lambda: session.bind(user))
        return browser

    def do(self, browser: Any, action: Callable[[], Any]) -> Any:
        """Return what *action* returns in a request of *browser*."""
        self._action = action
        assert browser.get("/act").status_code in {200, 413}
        return self._result

    def _act(self) -> str:
        self._result = self._action()
        return "done"


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test register a type for others."""
    for table in (seams.REGISTERED_BY_TYPE, seams.REGISTERED_BY_NAME):
        table.plant(monkeypatch, {})


def too_large(shop: Shop) -> None:
    """A session that is too large is answered by the page's handler."""
    browser = shop.browser()
    shop.do(browser, lambda: session.update(cart="x" * 2_000_000))
    assert browser.get("/act").text == "Your cart is full."


def ordered(shop: Shop) -> None:
    """The view passes values to the task."""
    assert shop.browser().post("/orders").text == "Ordered\n"
    assert shop.sent == [{"user_id": "ada", "order": 7}]


def locked(shop: Shop) -> None:
    """The task ends the user's sessions, without a request."""
    browser = shop.browser()
    shop.names["lock_account"]("ada")
    assert shop.do(browser, lambda: session.owner) is None


def formatted(shop: Shop) -> None:
    """The page shows times as the filter formats them."""
    shop.app.register_blueprint(devices_page(shop.sessions))
    assert f"on {datetime.now(timezone.utc):%A}" in shop.browser().get("/devices/", follow_redirects=True).text


def pushed(shop: Shop) -> None:
    """A socket hears of the end of its user's session, asks, and is told that it is signed out."""
    browser = shop.browser()
    socket = SocketIOTestClient(shop.app, shop.names["socketio"], flask_test_client=browser)
    with shop.app.app_context():
        shop.sessions.revoke_all("ada")
    socket.emit("check")
    assert [event["name"] for event in socket.get_received()] == ["session ended", "signed out"]


def remembered(shop: Shop) -> None:
    """A login with the box ticked lasts thirty days."""
    browser = shop.app.test_client()
    assert browser.post("/login", data={"remember": "1"}).status_code == 302
    assert shop.do(browser, lambda: (session.permanent, session.lifetime)) == (True, timedelta(days=30))


def demoted(shop: Shop) -> None:
    """The user's sessions lose the key."""
    browser = shop.browser()
    shop.do(browser, lambda: session.update(is_admin=True, cart=[]))
    with shop.app.app_context():
        shop.names["demote"]("ada")
    assert shop.do(browser, lambda: dict(session)) == {"cart": []}


def kept(shop: Shop) -> None:
    """A session keeps values of the registered type."""
    browser = shop.browser()
    shop.do(browser, lambda: session.update(place=Path("/srv")))
    assert shop.do(browser, lambda: session["place"]) == Path("/srv")


CHECKS: dict[str, Callable[[Shop], None]] = {
    "def too_large": too_large,
    "def order": ordered,
    "def lock_account": locked,
    "def when": formatted,
    "SocketIO(": pushed,
    '"remember" in': remembered,
    "def demote": demoted,
    "register_type(": kept,
}


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
def test_the_block_works_in_an_application(block: Block, tmp_path: Path) -> None:
    """The application starts with the block, with each store that it names, and does what the page says."""
    with closing(Shop(block, tmp_path)) as shop:
        for beginning, check in CHECKS.items():
            if beginning in block.text:
                check(shop)
        for url in shop.config.stores[:-1]:
            if isinstance(url, str):
                store = open_store(url, root=tmp_path)
                assert isinstance(store, Closes)
                store.close()
