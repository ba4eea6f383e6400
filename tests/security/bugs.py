"""Bugs that several tests plant: each puts one mistake into the code that is tested."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.flask.cookies import Cookies, Presented
from holdfast.records import envelope
from holdfast.records.record import Version
from holdfast.records.tokens import Keys
from holdfast.sessions.flows import committing, opening, rotating
from holdfast.sessions.flows.context import Context
from holdfast.sessions.mapping import ServerSession
from holdfast.sessions.ops import Flow, create, load
from holdfast.sessions.policy import Policy
from holdfast.stores import _redis_scripts


def keys_are_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are stored under the token itself, which is then their handle too."""
    monkeypatch.setattr(Keys, "key_of", lambda self, token: token)


def no_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace is no part of what a token is hashed with."""
    derive = Keys.__init__

    def derive_all_alike(self: Keys, namespace: str, **options: Any) -> None:
        derive(self, "", **options)

    monkeypatch.setattr(Keys, "__init__", derive_all_alike)


def login_keeps_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that finds a session goes on under its id."""

    def rebind(self: ServerSession, owner: str | None) -> None:
        if self._open().loaded is None:
            self.wishes.rebind, self.wishes.owner = True, owner

    monkeypatch.setattr(ServerSession, "_rebind", rebind)


def both_ids_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation leaves the old record as it was."""
    move = rotating._move

    def copy(*args: Any) -> Flow[Version]:
        call = next(move(*args))
        if call.name == "move":
            _, key, data, _ = call.args
            call = create(key, data, call.kwargs["expires_at"], call.kwargs["owner"])
        version: Version = yield call
        return version

    monkeypatch.setattr(rotating, "_move", copy)


def logout_in_the_browser_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout deletes the cookie and leaves the record."""

    def kill(context: Context, key: str, version: Version, owner: str | None) -> Flow[str]:
        yield from load(key)
        return key

    monkeypatch.setattr(committing, "kill", kill)


def never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The idle timeout is left to the cookie and to the store."""
    verdict = Policy.verdict

    def lenient(self: Policy, *args: Any) -> Any:
        found = verdict(self, *args)
        return None if found == "expired_idle" else found

    monkeypatch.setattr(Policy, "verdict", lenient)


def never_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """The absolute timeout is left to the cookie, and a touch moves it on."""
    verdict = Policy.verdict

    def lenient(self: Policy, *args: Any) -> Any:
        found = verdict(self, *args)
        return None if found == "expired_absolute" else found

    monkeypatch.setattr(Policy, "verdict", lenient)
    monkeypatch.setattr(Policy, "expires_at", lambda self, created_at, now: now + 2 * self.idle)


def born_again_at_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write, and each rotation, begins the absolute timeout anew."""
    make = Context.envelope

    def newborn(self: Context, payload: bytes, **times: Any) -> Any:
        return make(self, payload, **{**times, "created_at": self.clock()})

    monkeypatch.setattr(Context, "envelope", newborn)


def records_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor who did nothing gets a record and a cookie."""
    monkeypatch.setattr(ServerSession, "is_empty", property(lambda self: False))


def token_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is taken from the query, the form or a header where there is no cookie."""
    read = Cookies.read

    def lenient(self: Cookies, app: Any, request: Any) -> Presented:
        name = app.config["SESSION_COOKIE_NAME"]
        found = read(self, app, request)
        return found if found.token else Presented(request.values.get(name) or request.headers.get("X-Session"))

    monkeypatch.setattr(Cookies, "read", lenient)


def bare_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deletion cookie has no attributes, so that browsers refuse it."""

    def delete(self: Cookies, app: Any, response: Any) -> None:
        response.delete_cookie(app.config["SESSION_COOKIE_NAME"])

    monkeypatch.setattr(Cookies, "delete", delete)


def unknown_formats_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format byte that is not known ends in an error."""

    def decode(data: bytes) -> Any:
        return envelope._DECODERS[data[0]](data)

    monkeypatch.setattr(opening, "decode", decode)


def no_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to live is left out when a record is written again."""
    code = _redis_scripts.CREATE.code.replace(b"'PX', ttl)", b"'KEEPTTL')")
    for script in (_redis_scripts.CREATE, _redis_scripts.REPLACE, _redis_scripts.MOVE):
        monkeypatch.setattr(script, "code", script.code.replace(b"'PX', ttl)", b"'KEEPTTL')"))
        monkeypatch.setattr(script, "sha", "0" * 40)
    assert b"KEEPTTL" in code
