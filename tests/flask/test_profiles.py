"""Profiles: the requirements of a standard, for settings that the application does not set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from support.web import Web, attributes, cookies_set

from holdfast import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.settings.cookie_rules import KNOWS_PARTITIONED
from holdfast.flask.settings.profiles import PROFILES
from holdfast.flask.settings.table import FLASKS, OWN
from holdfast.records.encryption import new_key

KEY = new_key()
HTTPS = "https://localhost"

MINUTE, HOUR, DAY = 60, 3600, 86_400

#: The idle and the absolute timeout of each profile, in seconds, as the standards have them.
LIMITS = {
    "asvs-l1": (30 * DAY, 30 * DAY),
    "asvs-l2": (30 * MINUTE, 12 * HOUR),
    "asvs-l3": (15 * MINUTE, 12 * HOUR),
    "nist-aal1": (30 * DAY, 30 * DAY),
    "nist-aal2": (HOUR, 24 * HOUR),
    "nist-aal3": (15 * MINUTE, 12 * HOUR),
}

every_profile = pytest.mark.parametrize("name", PROFILES)


def web_under(name: str, **config: Any) -> Web:
    """Return an application under the profile *name*."""
    return Web(SESSION_PROFILE=name, SESSION_SEAL_KEYS=[KEY], **config)


def configured(**config: Any) -> Flask:
    """Return an application with only its sessions set up."""
    app = Flask("shop", static_folder=None)
    app.config.update(SESSION_STORE="memory://", SESSION_SEAL_KEYS=[KEY])
    app.config.update(config)
    Session(app)
    return app


def seen(web: Web) -> Any:
    """Return what a request over HTTPS finds under ``u``."""
    found: list[Any] = []
    web.do(lambda: found.append(session.get("u")), base_url=HTTPS)
    return found[0]


def log_in(web: Web) -> Any:
    """Log the user 42 in over HTTPS, and return the response."""

    def view() -> None:
        session.bind("42")
        session["u"] = "42"

    return web.do(view, base_url=HTTPS)


@every_profile
def test_the_idle_limit_is_exact(name: str) -> None:
    """A session is good a second before the standard's idle limit, and over a second after it."""
    idle, absolute = LIMITS[name]
    web = web_under(name)
    for late, expected in ((-1, "42"), (1, None)):
        log_in(web)
        web.clock.advance(seconds=idle + late)
        assert seen(web) == expected
    assert web.reasons() == ["expired_absolute" if idle == absolute else "expired_idle"]


@every_profile
def test_the_absolute_limit_is_exact(name: str) -> None:
    """A session in use is good a second before the standard's overall limit, and over a second after it."""
    idle, absolute = LIMITS[name]
    step = min(idle // 2, absolute // 4)
    web = web_under(name)
    for late, expected in ((-1, "42"), (1, None)):
        log_in(web)
        start = web.clock()
        while web.clock() + step * 1000 < start + (absolute - 1) * 1000:
            web.clock.advance(seconds=step)
            assert seen(web) == "42"
        web.clock.advance(seconds=(start - web.clock()) / 1000 + absolute + late)
        assert seen(web) == expected
    assert web.reasons() == ["expired_absolute"]


@every_profile
def test_the_cookie_is_sent_to_one_host_over_https_alone(name: str) -> None:
    """Login, rotation and logout set a cookie with a neutral prefixed name and every attribute spelled out."""
    web = web_under(name)
    responses = [log_in(web)]
    responses += [web.do(action, base_url=HTTPS) for action in (session_rotate, session_clear)]
    for response in responses:
        (header,) = cookies_set(response, "__Host-id")
        found = attributes(header)
        assert {"secure", "httponly"} <= found.keys()
        assert (found["samesite"], found["path"]) == ("Lax", "/")
        assert "domain" not in found
    assert "max-age" not in attributes(cookies_set(responses[0], "__Host-id")[0])


def session_rotate() -> None:
    """Ask for a new token."""
    session.rotate()


def session_clear() -> None:
    """End the session."""
    session.clear()


@every_profile
def test_every_value_is_visible(name: str) -> None:
    """After the start the application's config holds all that the profile set."""
    app = configured(SESSION_PROFILE=name)
    settings = PROFILES[name].settings
    assert {setting: app.config[setting] for setting in settings} == dict(settings)


@every_profile
def test_a_profile_sets_what_exists(name: str) -> None:
    """Each name that a profile sets is a setting of Holdfast's or of Flask's."""
    assert PROFILES[name].settings.keys() <= {setting.name for setting in (*OWN, *FLASKS)}


@every_profile
def test_a_profile_is_no_weaker_than_its_standard(name: str) -> None:
    """The limits that a profile states are those of the standard's text."""
    profile = PROFILES[name]
    assert (profile.idle.total_seconds(), profile.absolute.total_seconds()) == LIMITS[name]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PERMANENT_SESSION_LIFETIME", timedelta(minutes=5)),
        ("PERMANENT_SESSION_LIFETIME", 31 * DAY),
        ("SESSION_ABSOLUTE_LIFETIME", timedelta(days=2)),
        ("SESSION_COOKIE_NAME", "__Secure-other"),
        ("SESSION_COOKIE_SAMESITE", "Strict"),
        ("SESSION_COOKIE_HTTPONLY", False),
        ("SESSION_PERMANENT", True),
        ("SESSION_REQUIRE_HTTPS", False),
        ("SESSION_CACHE_CONTROL", "private"),
        ("SESSION_MAX_BYTES", 1000),
        ("SESSION_SEAL", "mac"),
    ],
)
def test_what_the_application_sets_wins(setting: str, value: Any) -> None:
    """A value of the application's own stays, and the others are the profile's."""
    app = configured(**{"SESSION_PROFILE": "asvs-l3", setting: value})
    expected = {**PROFILES["asvs-l3"].settings, setting: value}
    assert {name: app.config[name] for name in expected} == expected


def test_a_default_of_flasks_is_no_choice() -> None:
    """Flask's own default does not count as the application's; only an exception keeps it."""
    flasks = {"PERMANENT_SESSION_LIFETIME": timedelta(days=31), "SESSION_COOKIE_NAME": "session"}
    replaced = configured(SESSION_PROFILE="asvs-l1", **flasks)
    assert replaced.config["SESSION_COOKIE_NAME"] == "__Host-id"
    kept = configured(SESSION_PROFILE="asvs-l1", SESSION_PROFILE_EXCEPT=[*flasks], **flasks)
    assert {name: kept.config[name] for name in flasks} == flasks
    assert kept.config["SESSION_COOKIE_SECURE"] is True


def test_flask_sessions_defaults_give_way_to_a_profile() -> None:
    """With Flask-Session's SESSION_TYPE a session is not permanent under a profile."""
    app = configured(SESSION_STORE=None, SESSION_TYPE="filesystem", SESSION_PROFILE="asvs-l1")
    assert app.config["SESSION_PERMANENT"] is False


def test_without_a_profile_flasks_own_defaults_hold() -> None:
    """The name, Secure, SameSite and the timeout are Flask's."""
    app = configured()
    for name in ("SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_PATH"):
        assert app.config[name] == Flask.default_config[name]
    assert app.config["PERMANENT_SESSION_LIFETIME"] == timedelta(days=31)


@pytest.mark.parametrize("name", ["asvs-l3", "nist-aal3"])
def test_the_third_level_needs_keys(name: str) -> None:
    """Without keys to seal with, the start fails, and says how to get one and how to do without."""
    with pytest.raises(ConfigurationError, match=r"SESSION_SEAL_KEYS is not set.*holdfast new-key.*EXCEPT"):
        configured(SESSION_PROFILE=name, SESSION_SEAL_KEYS=None)
    app = configured(SESSION_PROFILE=name, SESSION_SEAL_KEYS=None, SESSION_PROFILE_EXCEPT=["SESSION_SEAL"])
    assert app.config["SESSION_SEAL"] is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"SESSION_PROFILE": "asvs"}, "SESSION_PROFILE is 'asvs': it must be one of 'asvs-l1'"),
        ({"SESSION_PROFILE": 1}, "SESSION_PROFILE is 1: it must be one of"),
        ({"SESSION_PROFILE_EXCEPT": ["SESSION_SEAL"]}, "there is no SESSION_PROFILE to except it from"),
        ({"SESSION_PROFILE": "asvs-l1", "SESSION_PROFILE_EXCEPT": "SESSION_SEAL"}, "must be a list of the names"),
        ({"SESSION_PROFILE": "asvs-l1", "SESSION_PROFILE_EXCEPT": ["SESSION_SEAL"]}, "'asvs-l1' does not set"),
        (
            {"SESSION_PROFILE": "asvs-l1", "SESSION_STORE": None, "SESSION_TYPE": "null"},
            "which no logout ends: choose another SESSION_TYPE",
        ),
    ],
)
def test_a_profile_that_cannot_hold_is_refused(config: dict[str, Any], message: str) -> None:
    """The start fails, and names the setting, the value and the fix."""
    with pytest.raises(ConfigurationError, match=message):
        configured(**config)


SECURE = {"SESSION_COOKIE_SECURE": True}
PARTITIONED = pytest.mark.skipif(not KNOWS_PARTITIONED, reason="this Werkzeug knows no Partitioned")


@pytest.mark.parametrize("profile", [None, "asvs-l1"])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"SESSION_COOKIE_NAME": "__Host-a", "SESSION_COOKIE_SECURE": 0}, "_SECURE is False.*'__Host-a'"),
        ({"SESSION_COOKIE_NAME": "__host-a", "SESSION_COOKIE_SECURE": 0}, "_SECURE is False.*'__host-a'"),
        ({"SESSION_COOKIE_NAME": "__Secure-a", "SESSION_COOKIE_SECURE": 0}, "_SECURE is False"),
        ({"SESSION_COOKIE_NAME": "__Http-a", "SESSION_COOKIE_SECURE": 0}, "_SECURE is False"),
        ({"SESSION_COOKIE_NAME": "__Http-a", **SECURE, "SESSION_COOKIE_HTTPONLY": False}, "_HTTPONLY is False"),
        ({"SESSION_COOKIE_NAME": "__Host-Http-a", **SECURE, "SESSION_COOKIE_HTTPONLY": False}, "_HTTPONLY is False"),
        (
            {"SESSION_COOKIE_NAME": "__Host-a", **SECURE, "SESSION_COOKIE_DOMAIN": "shop.example"},
            "_DOMAIN is 'shop.example'.*name it '__Secure-a'",
        ),
        (
            {"SESSION_COOKIE_NAME": "__Host-Http-a", **SECURE, "SESSION_COOKIE_DOMAIN": "shop.example"},
            "name it '__Http-a'",
        ),
        ({"SESSION_COOKIE_NAME": "__Host-a", **SECURE, "SESSION_COOKIE_PATH": "/x"}, "_PATH is '/x'.*to '/'"),
        ({"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": 0}, "SAMESITE is 'None'.*SECURE to True"),
        ({"SESSION_COOKIE_SAMESITE": "lacks", **SECURE}, "SAMESITE is 'lacks': it must be 'Lax'"),
        pytest.param(
            {"SESSION_COOKIE_PARTITIONED": True, "SESSION_COOKIE_SECURE": 0},
            "PARTITIONED is True.*SECURE to True",
            marks=PARTITIONED,
        ),
        ({"SESSION_COOKIE_PATH": "/" + 1024 * "x"}, "PATH is .*: it is 1025 bytes long.* 1024"),
        ({"SESSION_COOKIE_DOMAIN": 205 * "host."}, "DOMAIN is .*: it is 1025 bytes long.* 1024"),
        ({"SESSION_COOKIE_PATH": "/a;b"}, "PATH is '/a;b': it must hold no semicolon"),
        ({"SESSION_COOKIE_DOMAIN": "a\nb"}, r"DOMAIN is 'a\\nb': it must hold no semicolon and no control"),
        ({"SESSION_COOKIE_PATH": "x"}, "PATH is 'x': browsers ignore"),
        ({"SESSION_COOKIE_DOMAIN": True}, "DOMAIN is True: it must be text"),
        ({"SESSION_COOKIE_NAME": "a b"}, "NAME is 'a b': a cookie's name"),
        ({"SESSION_COOKIE_NAME": ""}, "NAME is '': a cookie's name"),
    ],
)
def test_a_cookie_that_browsers_would_drop_is_refused(
    profile: str | None, config: dict[str, Any], message: str
) -> None:
    """With a profile and without, the start fails, and names the settings that do not fit."""
    # A profile counts False as Flask's default and sets Secure: another falsy value is a choice.
    config = {name: False if value == 0 and profile is None else value for name, value in config.items()}
    if profile and config.get("SESSION_COOKIE_SECURE") == 0:
        config |= {"SESSION_COOKIE_SECURE": False, "SESSION_PROFILE_EXCEPT": ["SESSION_COOKIE_SECURE"]}
        config.setdefault("SESSION_COOKIE_NAME", "a")
    elif profile:
        config.setdefault("SESSION_COOKIE_NAME", "__Secure-a")
    with pytest.raises(ConfigurationError, match=message):
        configured(SESSION_PROFILE=profile, **config)


def test_a_prefix_needs_the_root_path_even_under_another_root() -> None:
    """An application below a path must keep the cookie's path at the root for ``__Host-``; a profile does so."""
    with pytest.raises(ConfigurationError, match=r"APPLICATION_ROOT is '/shop'.*Set SESSION_COOKIE_PATH to '/'"):
        configured(APPLICATION_ROOT="/shop", SESSION_COOKIE_NAME="__Host-a", SESSION_COOKIE_SECURE=True)
    assert configured(APPLICATION_ROOT="/shop", SESSION_PROFILE="asvs-l1").config["SESSION_COOKIE_PATH"] == "/"


@pytest.mark.parametrize(
    "config",
    [
        {"SESSION_COOKIE_NAME": "__Secure-a", **SECURE, "SESSION_COOKIE_DOMAIN": "shop.example"},
        {"SESSION_COOKIE_NAME": "__Http-a", **SECURE, "SESSION_COOKIE_PATH": "/x"},
        {"SESSION_COOKIE_NAME": "__Host-Http-a", **SECURE},
        {"SESSION_COOKIE_NAME": "a", "SESSION_COOKIE_SAMESITE": "None", **SECURE},
        pytest.param(
            {"SESSION_COOKIE_PARTITIONED": True, "SESSION_COOKIE_SAMESITE": "none", **SECURE}, marks=PARTITIONED
        ),
        {"SESSION_COOKIE_PATH": "/" + 1023 * "x", "SESSION_COOKIE_DOMAIN": 256 * ".abc"},
    ],
)
def test_a_cookie_that_browsers_keep_is_not_refused(config: dict[str, Any]) -> None:
    """Prefixes whose demands are met, and values up to the limit, are fine."""
    configured(**config)


@pytest.mark.parametrize("setting", ["PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME"])
@pytest.mark.parametrize("value", [timedelta(days=401), 401 * DAY])
def test_a_life_that_browsers_cut_short_is_a_warning(setting: str, value: Any) -> None:
    """More than 400 days is allowed, with a warning at the caller's line."""
    app = Flask("shop", static_folder=None)
    app.config.update({"SESSION_STORE": "memory://", setting: value})
    with pytest.warns(UserWarning, match=f"{setting} is .*at most 400 days") as warned:
        Session(app)
    assert [warning.filename for warning in warned] == [__file__]
