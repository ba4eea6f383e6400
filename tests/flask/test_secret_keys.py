"""Keys to sign with that anybody can guess."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.web import SECRET_KEY, Web

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.records.encryption import key_from
from holdfast.records.tokens import new_token
from holdfast.records.weak_keys import weakness_of
from holdfast.stores.memory import MemoryStore

WEAK: list[tuple[str | bytes, str]] = [
    ("dev", "shorter"),
    ("changeme", "shorter"),
    (b"Secret", "shorter"),
    ('_5#y2L"F4Q8z\n\xec]/', "shorter"),
    (b'_5#y2L"F4Q8z\n\xec]/', "shorter"),
    ("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf", "published"),
    ("pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw", "published"),
    ("CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET", "placeholder"),
    ("\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h", "shorter"),
    ("\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h", "published"),
    ("temporary_key", "shorter"),
    ("5791628bb0b13ce0c676dfde280ba245", "published"),
    ("", "shorter"),
    (sha256(b"").digest()[:31], "shorter"),
    (sha256(b"").hexdigest()[:30], "shorter"),
    ("please-change-me-before-you-go-live-2024", "placeholder"),
    ("my_app_SECRET_KEY_in_production_8h3k2", "placeholder"),
    ("k" * 64, "few characters"),
    ("abcabd" * 8, "few characters"),
    ("abcdefghijklmnopqrstuvwxyz0123456789", "few characters"),
    (bytes(range(64)), "few characters"),
    ("correct horse!" * 4, "repeats"),
    ("Tr0ub4dor&3xZq" * 3 + "Tr0", "repeats"),
    (sha256(b"").hexdigest()[:16] * 2, "repeats"),
    (sha256(b"").digest()[:16] * 2, "repeats"),
    (sha256(b"").digest()[:12] + bytes(20), "few characters"),
    (bytes(20) + sha256(b"").digest()[:12], "few characters"),
    ("iPZkO7XEg7PpHkQ4N0cIhPxQTnJ3GAdX9Zp0y6vV0bE", "published"),
    (bytes.fromhex("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"), "published"),
    (key_from("pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw"), "published"),
]


@pytest.mark.parametrize(("key", "reason"), WEAK)
def test_a_weak_key_is_told_by_its_reason(key: str | bytes, reason: str) -> None:
    """The reason is given in words, and the key is not among them."""
    said = weakness_of(key)
    assert said is not None
    assert reason in said
    assert not key or str(key) not in said


@pytest.mark.parametrize(
    "make", [new_token, secrets.token_hex, lambda: secrets.token_hex(16), lambda: os.urandom(32), lambda: SECRET_KEY]
)
def test_a_random_key_is_good(make: Callable[[], str | bytes]) -> None:
    """A key of 32 random bytes is accepted in any spelling, and so are 32 hexadecimal digits."""
    assert {weakness_of(make()) for _ in range(500)} == {None}


def build(**config: Any) -> Flask:
    """Return an application that signs its tokens, with one view that needs a session."""
    app = Flask("shop")
    app.config.update(SESSION_USE_SIGNER=True, PROPAGATE_EXCEPTIONS=True)
    app.config.update(config)
    Session(app)
    app.add_url_rule("/", view_func=lambda: str(session.setdefault("a", 1)))
    return app


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"SECRET_KEY": "dev"}, "SECRET_KEY can be guessed, .*: it is shorter"),
        (
            {"SECRET_KEY": SECRET_KEY, "SECRET_KEY_FALLBACKS": [secrets.token_hex(), "short"]},
            r"SECRET_KEY_FALLBACKS\[1\] can be guessed, .*: it is shorter than 32 bytes",
        ),
        ({"SECRET_KEY": SECRET_KEY, "SECRET_KEY_FALLBACKS": secrets.token_hex()}, "must be text or bytes, and SECRET_"),
        ({"SECRET_KEY": 12345678}, "must be text or bytes"),
    ],
)
def test_a_weak_key_is_refused_at_the_start(config: dict[str, Any], message: str) -> None:
    """The message names the setting, the reason and the fix, and holds no key."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        build(SESSION_STORE=MemoryStore(), **config)
    assert "can be guessed" not in message or "python -m holdfast new-key" in str(caught.value)
    assert "'dev'" not in str(caught.value)
    assert SECRET_KEY not in str(caught.value)


def test_a_weak_key_that_is_set_later_is_refused_when_it_is_needed() -> None:
    """A key that was not there when the extension was made is looked at when a token is signed, and when it changes."""
    app = build(SESSION_STORE=MemoryStore())
    app.config["SECRET_KEY"] = "dev"
    browser = app.test_client()
    with pytest.raises(ConfigurationError, match="SECRET_KEY can be guessed"):
        browser.get("/")
    app.config["SECRET_KEY"] = SECRET_KEY
    assert browser.get("/").status_code == 200
    app.config["SECRET_KEY_FALLBACKS"] = ["dev"]
    with pytest.raises(ConfigurationError, match=re.escape("SECRET_KEY_FALLBACKS[0] can be guessed")):
        browser.get("/")


def test_any_key_will_do_in_debug_mode() -> None:
    """Developers need no key in debug mode, and get an error without debug mode."""
    app = build(SESSION_STORE=MemoryStore(), DEBUG=True, SECRET_KEY="dev")
    assert app.test_client().get("/").status_code == 200
    app.debug = False
    with pytest.raises(ConfigurationError, match="SECRET_KEY can be guessed"):
        app.test_client().get("/")


def test_a_key_that_signs_nothing_may_be_weak() -> None:
    """Without the signer sessions do not depend on ``SECRET_KEY``."""
    web = Web(SECRET_KEY="dev")
    web.put(a=1)
    assert web.data() == {"a": 1}


def test_a_program_that_comes_from_flask_session_still_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With ``SESSION_TYPE`` a weak key is a warning in the log, once, and sessions work."""
    with caplog.at_level(logging.WARNING, "holdfast"):
        app = build(SESSION_TYPE="filesystem", SESSION_FILE_DIR=str(tmp_path), SECRET_KEY="123")
        browser = app.test_client()
        assert [browser.get("/").text for _ in range(2)] == ["1", "1"]
    (record,) = caplog.records
    assert record.getMessage().startswith("SECRET_KEY can be guessed")
    assert "123" not in record.getMessage()
