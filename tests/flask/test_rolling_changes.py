"""Settings that change while processes are replaced one by one, in the order of the page on upgrades."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client

from holdfast.flask import Session, session
from holdfast.records.encryption import new_key
from holdfast.stores.memory import MemoryStore

_KEYS = [new_key(), new_key()]
_SECRETS = ["the first key of the shop, 8Zt-1wYq", "the second key of the shop, pQ4-9rUe"]
_SIGNED = {"SESSION_USE_SIGNER": True, "SECRET_KEY": _SECRETS[0]}
_OPEN = {"SESSION_SEAL_MIGRATE_UNTIL": dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=7)}
_SEALED = {"SESSION_SEAL": "keys", "SESSION_SEAL_KEYS": _KEYS[:1]}
_PROFILE = {"SESSION_PROFILE": "asvs-l1", "SESSION_COOKIE_OLD_NAMES": ["session"]}

#: By the change: the settings before it, after the first deployment, and after the second.
CHANGES: dict[str, list[dict[str, Any]]] = {
    "SECRET_KEY": [
        _SIGNED,
        {**_SIGNED, "SECRET_KEY_FALLBACKS": [_SECRETS[1]]},
        {**_SIGNED, "SECRET_KEY": _SECRETS[1], "SECRET_KEY_FALLBACKS": [_SECRETS[0]]},
    ],
    "SESSION_SEAL_KEYS": [
        _SEALED,
        {**_SEALED, "SESSION_SEAL_KEYS": _KEYS},
        {**_SEALED, "SESSION_SEAL_KEYS": _KEYS[::-1]},
    ],
    "another SESSION_SEAL": [_SEALED, {**_SEALED, **_OPEN}, {**_SEALED, **_OPEN, "SESSION_SEAL": "cookie"}],
    "SESSION_PROFILE": [{}, {"SESSION_COOKIE_OLD_NAMES": ["__Host-id"]}, _PROFILE],
}


def application(store: MemoryStore, settings: dict[str, Any]) -> Flask:
    """Return a process of the application with *settings*."""
    app = Flask(__name__)
    app.config.update({"SECRET_KEY": _SECRETS[0], "SESSION_STORE": store, **settings})
    Session(app)

    @app.post("/login")
    def login() -> str:
        session.bind("ada")
        return "ok"

    @app.post("/count")
    def count() -> str:
        return str(session.apply("visits", lambda visits: visits + 1, default=0) if session.owner else None)

    return app


def visit(app: Flask, browser: Client, path: str) -> str:
    """Return the text of a page that *browser* loads from the process *app*."""
    here = app.test_client()
    here._cookies = browser._cookies
    return here.post(path, base_url="https://localhost", headers={"Sec-Fetch-Mode": "navigate"}).text


@pytest.mark.parametrize("begins", [0, 1], ids=["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_in_two_deployments_nobody_is_signed_out(change: str, begins: int) -> None:
    """During both, a user who signed in at either kind of process goes on at both, and no change is lost."""
    for pair in zip(CHANGES[change], CHANGES[change][1:], strict=False):
        store = MemoryStore()
        processes = [application(store, settings) for settings in pair]
        browser = processes[0].test_client()
        visit(processes[begins], browser, "/login")
        counts = [visit(processes[number % 2], browser, "/count") for number in range(6)]
        assert counts == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("begins", [0, 1], ids=["before", "after"])
def test_while_sealing_is_enabled_no_session_is_lost(begins: int) -> None:
    """A process without the keys knows no user of a sealed session, and leaves it and its cookie alone."""
    store = MemoryStore()
    processes = [application(store, settings) for settings in ({}, {**_SEALED, **_OPEN})]
    browser = processes[0].test_client()
    visit(processes[begins], browser, "/login")
    assert visit(processes[1], browser, "/count") == "1"
    assert visit(processes[0], browser, "/count") == "None"
    assert visit(processes[1], browser, "/count") == "2"
