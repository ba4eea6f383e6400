"""Shared steps of security tests, and a store that runs another action in the middle of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash
from flask.testing import FlaskClient
from support.web import Web, end, rotate

from holdfast.flask import session
from holdfast.records.envelope import Tombstone, Vouched, decode
from holdfast.sessions.state import IDENTITY
from holdfast.stores.contract import Store
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, StoreWrapper

#: A function that makes applications: the fixture `web_on`.
WebOn = Callable[..., Web]


def _start_over() -> None:
    session.clear()
    session["b"] = 1


def _destroy() -> None:
    session.destroy()


def _empty() -> None:
    for key in list(session):
        del session[key]


#: The possible operations of a request on a loaded session, by the way it is saved.
WRITES: dict[str, Callable[[], Any]] = {
    "set": lambda: session.update(a=1),
    "nested": lambda: session["cart"].append(2),
    "apply": lambda: session.apply("hits", lambda hits: hits + 1, default=0),
    "flash": lambda: flash("hello"),
    "rotate": rotate,
    "bind": lambda: session.bind("ada"),
    "start over": _start_over,
    "read": lambda: session.get("cart"),
}

#: The ways to log out that a view has.
LOGOUTS: dict[str, Callable[[], Any]] = {"clear": end, "destroy": _destroy, "empty": _empty}


def sign_in(user: str, **data: Any) -> Callable[[], None]:
    """Return a view that signs *user* in as Flask-Login does, which binds the session, and puts *data* in."""

    def view() -> None:
        session[IDENTITY] = user
        session.update(data)

    return view


def signed_in(web: Web, user: str = "ada", **data: Any) -> FlaskClient:
    """Return a new browser in which *user* has signed in."""
    browser = web.app.test_client()
    web.do(sign_in(user, who=user, **data), browser)
    return browser


def who(web: Web, browser: FlaskClient) -> Any:
    """Return the user in a browser's session, or None."""
    return web.see(lambda: session.get("who") or session.owner, browser)


class Meddler(StoreWrapper):
    """Knows every key that was written, and lets something else happen right before or after a chosen call."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._keys: set[str] = set()
        self._moments = 0
        self._action: Callable[[], object] | None = None

    def at(self, moment: int, action: Callable[[], object]) -> None:
        """Call *action* once, at the *moment*-th of the moments to come. Each call of the store is between two."""
        self._moments, self._action = moment, action

    def was_reached(self) -> bool:
        """Return whether the moment came, and reset it if not."""
        reached, self._action = self._action is None, None
        return reached

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Let the moment before the call and the one after it come."""
        if operation in {"create", "replace", "move"}:
            self._keys.update(call.args[0][:2] if operation == "move" else call.args[:1])  # type: ignore[attr-defined]
        self._pass()
        answer = call()
        self._pass()
        return answer

    def _pass(self) -> None:
        self._moments -= 1
        if self._moments == 0 and self._action is not None:
            action, self._action = self._action, None
            action()

    def alive(self) -> set[str]:
        """Return the keys under which there is a live record, of all that were ever written."""
        return {key for key in self._keys if self.store.load(key) is not None}

    def sessions(self) -> set[str]:
        """Return the keys of the live records that are no tombstones."""
        found = {key: self.store.load(key) for key in self.alive()}
        return {
            key for key, record in found.items() if record and not isinstance(decode(record.data), Tombstone | Vouched)
        }


def meddling(web_on: WebOn, place: str, **config: Any) -> tuple[Web, Meddler]:
    """Return an application, and the meddler around its store."""
    web = web_on(lambda clock: Meddler(open_store(place, clock=clock)), **config)
    return web, web.memory


def another(web: Web, web_on: WebOn, place: str, **config: Any) -> Web:
    """Return another process's application on the same store as *web*. Its clock stands at the same time."""

    def inner(clock: FakeClock) -> Any:
        if place != "memory://":
            return open_store(place, clock=clock)
        return web.memory.store if isinstance(web.memory, Meddler) else web.memory

    return web_on(inner, **config)
