"""Settings: their valid values, and the errors for others."""

from __future__ import annotations

import secrets
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.building import assert_works
from support.web import Web, attributes, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.settings.flask_session_compat import SETTINGS, TYPES
from holdfast.flask.settings.table import FLASKS, OWN
from holdfast.records.encryption import new_key

DEFAULTS = {setting.name: setting.default for setting in OWN}


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("SESSION_PERMANENT", "yes", "it must be True or False"),
        ("SESSION_SAVE_ON_ERROR", 1, "it must be True or False"),
        ("SESSION_USE_SIGNER", "no", "it must be True or False"),
        ("SESSION_KEEP_DEVICE", "yes", "it must be True or False"),
        ("SESSION_KEEP_ADDRESS", 1, "it must be True or False"),
        ("SESSION_KEY_PREFIX", b"x", "it must be text"),
        ("SESSION_KEY_PREFIX", "\ud800", "it must be text"),
        ("SESSION_ON_CONFLICT", "retry", "it must be one of 'merge', 'error'"),
        ("SESSION_ON_STORE_ERROR", "ignore", "it must be one of 'raise', 'anonymous'"),
        ("SESSION_MAX_BYTES", 0, "it must be a whole number of bytes greater than 0"),
        ("SESSION_MAX_BYTES", "1M", "it must be a whole number of bytes greater than 0"),
        ("SESSION_ROTATION_GRACE", "soon", "it must be seconds greater than 0, or a timedelta"),
        ("SESSION_SERIALIZATION_FORMAT", "pickle", "msgpack"),
        ("SESSION_TYPE", "rediss", "it must be one of"),
    ],
)
def test_a_wrong_value_is_an_error_at_the_start(build: Any, name: str, value: Any, fix: str) -> None:
    """The error names the setting, the value and what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        build(**{name: value})
    for part in (name, repr(value), fix):
        assert part in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", [setting.name for setting in (*OWN, *FLASKS, *SETTINGS)])
@pytest.mark.parametrize("value", [7, 0.5, b"7", ["7"], [[]], {"7": 7}, Path], ids=str)
def test_a_value_of_any_type_is_taken_or_refused_by_name(build: Any, name: str, value: Any) -> None:
    """The start fails with an error about that setting, or not at all."""
    types = {each.name: kind for kind, type_ in TYPES.items() for each in type_.settings}
    config = {"SESSION_TYPE": types[name], "SESSION_STORE": None} if name in types else {}
    try:
        build(**config | {name: value})
    except ConfigurationError as error:
        message = str(error)
    else:
        message = ""
    assert not message or name in message


def test_a_wrong_owner_key_is_not_shown(build: Any) -> None:
    """An error about a secret setting does not repeat it."""
    with pytest.raises(
        ConfigurationError, match="SESSION_OWNER_KEY is of the type int: it must be bytes or text"
    ) as caught:
        build(SESSION_OWNER_KEY=271828)
    assert "271828" not in str(caught.value)


@pytest.mark.parametrize("key", ["", b""])
def test_an_empty_owner_key_is_refused(build: Any, key: Any) -> None:
    """An empty secret, as an unset variable of the environment gives, is not taken for one."""
    with pytest.raises(ConfigurationError, match="SESSION_OWNER_KEY is empty"):
        build(SESSION_OWNER_KEY=key)


@pytest.mark.parametrize(
    "key", ["tiny", b"of 31 bytes, which is too short", "change-me-to-a-complex-secret-key", b"k" * 32]
)
def test_a_weak_owner_key_is_refused(build: Any, key: Any) -> None:
    """What is refused as a key for signatures and seals is refused here, and is not shown."""
    with pytest.raises(ConfigurationError, match=r"SESSION_OWNER_KEY can be guessed.*new-key") as caught:
        build(SESSION_OWNER_KEY=key)
    assert str(key) not in str(caught.value)


@pytest.mark.parametrize("key", [new_key(), secrets.token_bytes(32)], ids=["text", "bytes"])
def test_an_owner_key_changes_the_owner_values(key: Any) -> None:
    """With ``SESSION_OWNER_KEY`` the store does not reveal the user of a session."""
    keyed, plain = Web(SESSION_OWNER_KEY=key), Web()
    owners = [(web.do(lambda: session.bind("ada")), web.see(lambda: session.owner))[1] for web in (keyed, plain)]
    assert owners[0] != owners[1]
    assert len(keyed.sessions.of("ada")) == 1


def test_prefixes_keep_applications_apart() -> None:
    """A cookie of one application is rejected by another that shares its store under another ``SESSION_KEY_PREFIX``."""
    one = Web()
    two = Web(SESSION_STORE=one.store, SESSION_KEY_PREFIX="other:")
    one.put(a=1)
    assert two.data(two.with_token(one.token())) == {}
    three = Web(SESSION_STORE=one.store)
    assert three.data(three.with_token(one.token())) == {"a": 1}


def test_none_stands_for_the_default(build: Any) -> None:
    """A setting of None is as good as none at all."""
    assert_works(build(**dict.fromkeys(DEFAULTS)))


def test_defaults_are_in_the_configuration(build: Any) -> None:
    """The defaults can be read afterwards."""
    app = build()
    assert {name: app.config[name] for name in DEFAULTS} == DEFAULTS


def test_settings_are_read_at_each_request(web: Web) -> None:
    """Timeouts, limits and choices that change after the start hold from the next request on."""
    web.put(a=1)
    web.app.config["SESSION_MAX_BYTES"] = 10
    with pytest.raises(Exception, match="exceeds the limit"):
        web.put(b="x" * 100)
    web.app.config.update(SESSION_MAX_BYTES=1000, SESSION_ABSOLUTE_LIFETIME=timedelta(seconds=10))
    web.clock.advance(10)
    assert web.data() == {}


def test_a_wrong_live_value_is_an_error_at_the_request(web: Web) -> None:
    """A setting that is changed to a wrong value is refused by the requests that use their session."""
    web.put(a=1)
    web.app.config["SESSION_MAX_BYTES"] = "1M"
    with pytest.raises(ConfigurationError, match="SESSION_MAX_BYTES is '1M': it must be a whole number of bytes"):
        web.data()
    web.app.config["SESSION_MAX_BYTES"] = 1000
    assert web.data() == {"a": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_STORE", "memory://"),
        ("SESSION_TYPE", "redis"),
        ("SESSION_USE_SIGNER", True),
        ("SESSION_KEY_PREFIX", "other:"),
        ("SESSION_SEAL_KEYS", ["hunter2"]),
        ("SESSION_PROFILE", "asvs-l1"),
        ("SESSION_FILE_MODE", 0o640),
    ],
)
def test_a_late_change_without_effect_is_an_error(web: Web, name: str, value: Any) -> None:
    """A setting that was read once, and is changed before the first request, is an error at each request."""
    web.sessions.purge()
    web.app.config[name] = value
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f"^{name} was changed after Session") as caught:
            web.do(lambda: None)
        assert "hunter2" not in str(caught.value)


# --- Flask's settings ------------------------------------------------------------------------------------------------

SWITCHES = [
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_COOKIE_SECURE",
    "SESSION_REFRESH_EACH_REQUEST",
]


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["False", "true", "0", "", b"", [], 2, object()])
def test_a_switch_of_flask_as_text_is_refused(build: Any, name: str, value: Any) -> None:
    """Flask takes every text for True, as "False" from the environment: here it is an error at the start."""
    with pytest.raises(ConfigurationError) as caught:
        build(**{name: value})
    assert (
        str(caught.value)
        == f"{name} is {value!r}: it must be True or False; in a variable that from_prefixed_env reads, true or false"
    )


@pytest.mark.parametrize("name", ["SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SECURE", "SESSION_REFRESH_EACH_REQUEST"])
@pytest.mark.parametrize("value", [True, False, 1, 0])
def test_a_switch_of_flask_may_be_a_number(build: Any, name: str, value: Any) -> None:
    """1 and 0, as Flask reads them from the environment, are True and False."""
    assert build(**{name: value}).config[name] == value


@pytest.mark.parametrize(
    "domain",
    [
        "http://example.com",
        "https://example.com:443/",
        "example.com/shop",
        "com",
        ".com",
        "com:5000",
        "*.example.com",
        "example..com",
        "example.com.",
        "-example.com",
        "example-.com",
        "exam ple.com",
        " example.com",
        "example.com,example.org",
        "[::1]",
        "x" * 64 + ".com",
        ["example.com"],
        b"example.com",
        1,
    ],
)
def test_a_domain_that_browsers_drop_is_refused(build: Any, domain: Any) -> None:
    """A cookie with such a Domain would never come back: the start fails, and names the setting and the value."""
    with pytest.raises(ConfigurationError, match=r"^SESSION_COOKIE_DOMAIN is .*: (it must|browsers drop)"):
        build(SESSION_COOKIE_DOMAIN=domain)


@pytest.mark.parametrize(
    ("domain", "sent"),
    [
        ("example.com", "example.com"),
        (".example.com", "example.com"),
        ("example.com:5000", "example.com"),
        ("shop.example.co.uk", "shop.example.co.uk"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("", None),
        (None, None),
        (False, None),
    ],
)
def test_a_domain_that_browsers_keep_is_sent(domain: Any, sent: str | None) -> None:
    """Other domains are sent as Werkzeug writes them."""
    [cookie] = cookies_set(Web(SESSION_COOKIE_DOMAIN=domain).put(a=1))
    assert attributes(cookie).get("domain") == sent


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SESSION_STOR", ": did you mean SESSION_STORE?"),
        ("SESSION_COOKIE_SAME_SITE", ": did you mean SESSION_COOKIE_SAMESITE?"),
        ("SESSION_ABSOLUTE_LIFE_TIME", ": did you mean SESSION_ABSOLUTE_LIFETIME?"),
        ("SESSION_XYZZY", ""),
    ],
)
def test_an_unknown_name_is_a_warning_with_the_nearest(build: Any, name: str, hint: str) -> None:
    """An unknown ``SESSION_*`` setting is a warning, which names the probable one and the line."""
    with pytest.warns(UserWarning, match="is not a setting") as heard:
        build(**{name: "x"})
    assert str(heard[0].message) == f"{name} is not a setting of Holdfast or Flask{hint}"


def test_a_warning_points_to_the_application() -> None:
    """The warning is about the line that made the extension, whichever way it was made."""
    for make in (Session, Session().init_app):
        app = Flask("shop")
        app.config.update(SESSION_STORE="memory://", SESSION_XYZZY=1)
        with pytest.warns(UserWarning, match="SESSION_XYZZY") as heard:
            make(app)
        assert Path(heard[0].filename).name == "test_settings.py"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"SESSION_XYZZY": 1}, "SESSION_XYZZY is not a setting"),
        ({"SESSION_REDIS": 1}, "SESSION_REDIS has no effect"),
        ({"SESSION_ABSOLUTE_LIFETIME": timedelta(days=401)}, "at most 400 days"),
    ],
)
def test_every_warning_points_to_the_application(config: dict[str, Any], said: str) -> None:
    """Each warning is about the line that made the extension."""
    app = Flask("shop")
    app.config.update({"SESSION_STORE": "memory://", **config})
    with pytest.warns(UserWarning, match=said) as heard:
        Session(app)
    assert [Path(warning.filename).name for warning in heard] == ["test_settings.py"]


def test_known_names_are_no_warning(build: Any) -> None:
    """Flask's own settings, Flask-Login's, Flask-Session's and ours are known."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(
            SESSION_PROTECTION="strong", SESSION_COOKIE_PARTITIONED=False, SESSION_ID_LENGTH=32, SESSION_KEY_PREFIX="x"
        )
