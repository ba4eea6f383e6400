"""Settings for the requirements of standards, by name: ``SESSION_PROFILE``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from flask import Flask

from holdfast.errors import ConfigurationError

#: Flask's settings that a profile may set, with Flask's defaults: an application with one of these has not chosen.
_OF_FLASK = Flask.default_config


class Profile(NamedTuple):
    """The requirements of one level of a standard for sessions.

    Attributes:
        standard: ``"asvs"`` or ``"nist"``.
        level: 1, 2 or 3.
        title: The standard and the level as text.
        idle: The longest idle timeout.
        absolute: The longest absolute timeout.
    """

    standard: Literal["asvs", "nist"]
    level: int
    title: str
    idle: timedelta
    absolute: timedelta

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the profile changes, by name."""
        spans = {"PERMANENT_SESSION_LIFETIME": self.idle, "SESSION_ABSOLUTE_LIFETIME": self.absolute}
        return spans | _ALWAYS | _OF_LEVEL[self.level] | (_OF_ASVS[self.level] if self.standard == "asvs" else {})

    @property
    def seals(self) -> bool:
        """Whether this level requires encryption of stored sessions."""
        return self.level == 3


#: The settings of every profile. A browser sends such a cookie only to the host that set it, and only over HTTPS.
_ALWAYS = {
    "SESSION_COOKIE_NAME": "__Host-id",
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_COOKIE_PATH": "/",
    "SESSION_PERMANENT": False,
    "SESSION_REQUIRE_HTTPS": True,
    "SESSION_CACHE_CONTROL": "no-store",
}

_OF_LEVEL: dict[int, dict[str, Any]] = {
    1: {},
    2: {"SESSION_MAX_BYTES": 64 * 1024},
    3: {
        "SESSION_MAX_BYTES": 64 * 1024,
        # Not "cookies", which would clear those of other hosts of the domain too.
        "SESSION_CLEAR_SITE_DATA": ["storage"],
        "SESSION_RENEWAL_INTERVAL": timedelta(hours=1),
        "SESSION_SEAL": "cookie",
    },
}

#: ASVS requires a deliberate limit on the number of a user's sessions; NIST does not.
_OF_ASVS: dict[int, dict[str, Any]] = {
    1: {},
    2: {"SESSION_MAX_PER_USER": 10},
    3: {"SESSION_MAX_PER_USER": 3},
}


_MONTH, _DAY, _HALF_DAY = timedelta(days=30), timedelta(hours=24), timedelta(hours=12)

#: Every profile by its name.
PROFILES: dict[str, Profile] = {
    "asvs-l1": Profile("asvs", 1, "OWASP ASVS, level 1", idle=_MONTH, absolute=_MONTH),
    "asvs-l2": Profile("asvs", 2, "OWASP ASVS, level 2", idle=timedelta(minutes=30), absolute=_HALF_DAY),
    "asvs-l3": Profile("asvs", 3, "OWASP ASVS, level 3", idle=timedelta(minutes=15), absolute=_HALF_DAY),
    "nist-aal1": Profile("nist", 1, "NIST SP 800-63B-4, AAL1", idle=_MONTH, absolute=_MONTH),
    "nist-aal2": Profile("nist", 2, "NIST SP 800-63B-4, AAL2", idle=timedelta(hours=1), absolute=_DAY),
    "nist-aal3": Profile("nist", 3, "NIST SP 800-63B-4, AAL3", idle=timedelta(minutes=15), absolute=_HALF_DAY),
}


def profile_named(name: object) -> Profile:
    """Return the profile *name*, which must be one of `PROFILES`."""
    if not isinstance(name, str) or name not in PROFILES:
        raise ConfigurationError(f"SESSION_PROFILE is {name!r}: it must be one of {', '.join(map(repr, PROFILES))}")
    return PROFILES[name]


def filled_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ``SESSION_PROFILE`` that *config* does not set itself, if they can be met.

    A setting counts as the application's own if it is present and not Flask's default; one that
    ``SESSION_PROFILE_EXCEPT`` names always does.
    """
    name = config.get("SESSION_PROFILE")
    exceptions = _exceptions(config)
    if name is None:
        if exceptions:
            raise ConfigurationError(
                f"SESSION_PROFILE_EXCEPT is {exceptions!r}, but there is no SESSION_PROFILE to except it from: unset it"
            )
        return {}
    profile = profile_named(name)
    if config.get("SESSION_TYPE") == "null":
        raise ConfigurationError(
            f"SESSION_PROFILE is {name!r}, but with SESSION_TYPE 'null' sessions live in Flask's signed cookie, which "
            "no logout ends: choose another SESSION_TYPE, or set SESSION_STORE instead"
        )
    unknown = [exception for exception in exceptions if exception not in profile.settings]
    if unknown:
        raise ConfigurationError(
            f"SESSION_PROFILE_EXCEPT names {unknown[0]!r}, which {name!r} does not set: it sets "
            f"{', '.join(sorted(profile.settings))}"
        )
    unset = {setting for setting in profile.settings if config.get(setting) in (None, _OF_FLASK.get(setting))}
    filled = unset - set(exceptions)
    if config.get("SESSION_STORE") == "cookie://":
        filled -= {"SESSION_SEAL"}  # a session in its cookie is always encrypted
    if "SESSION_SEAL" in filled and not config.get("SESSION_SEAL_KEYS"):
        raise ConfigurationError(
            f"SESSION_PROFILE is {name!r}, which seals stored sessions, and SESSION_SEAL_KEYS is not set: give it a "
            "list of one key, which `python -m holdfast new-key` prints. To leave sessions unsealed, set "
            "SESSION_PROFILE_EXCEPT to ['SESSION_SEAL']"
        )
    return {setting: profile.settings[setting] for setting in filled}


def _exceptions(config: Mapping[str, Any]) -> list[str]:
    exceptions = config.get("SESSION_PROFILE_EXCEPT") or ()
    if not isinstance(exceptions, list | tuple | set) or not all(isinstance(name, str) for name in exceptions):
        raise ConfigurationError(
            f"SESSION_PROFILE_EXCEPT is {exceptions!r}: it must be a list of the names of settings"
        )
    return list(exceptions)
