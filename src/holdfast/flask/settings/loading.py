"""From ``app.config`` to one object: the settings, checked, as they are now."""

from __future__ import annotations

import difflib
import functools
import logging
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from holdfast.errors import ConfigurationError
from holdfast.flask.settings import cookie_rules, profiles
from holdfast.flask.settings import flask_session_compat as flask_session
from holdfast.flask.settings.setting import warn
from holdfast.flask.settings.table import FLASKS, OWN
from holdfast.records.codec import Codec
from holdfast.records.encryption import SealMode
from holdfast.sessions.policy import LONGEST_COOKIE, Policy

_logger = logging.getLogger("holdfast")

_PREFIX = "SESSION_"

_READ = tuple(each for each in (*OWN, *FLASKS, flask_session.TYPE) if each.to)
_LIVE = tuple(each.name for each in _READ if each.live)
_FIXED = tuple(each for each in (*OWN, *flask_session.SETTINGS) if not each.live)


class CookieSettings(NamedTuple):
    """The name and the attributes of the session cookie: ``SESSION_COOKIE_*``, and ``APPLICATION_ROOT`` as *root*."""

    name: str
    old_names: tuple[str, ...]
    domain: str | None
    path: str | None
    root: str
    httponly: bool
    secure: bool
    samesite: str | None
    partitioned: bool


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings of an application at one moment, checked and in the form that the code uses.

    Attributes:
        policy: The timeouts, limits and choices for sessions.
        cookie: The name and the attributes of the cookie.
        store: The value of ``SESSION_STORE``, or None where ``SESSION_TYPE`` names the store.
        session_type: The value of ``SESSION_TYPE``, Flask-Session's setting.
        clear_site_data: The directives of ``Clear-Site-Data`` after a logout, maybe none.
        seal_migrate_until: In milliseconds since the epoch.
        import_until: In milliseconds since the epoch.
    """

    policy: Policy
    cookie: CookieSettings
    codec: Codec
    namespace: str
    transport: Literal["cookie", "header", "both"]
    use_signer: bool
    save_on_error: bool
    require_https: bool
    cache_control: Literal["private", "no-store"]
    clear_site_data: tuple[str, ...]
    on_device_change: Literal["signal", "end"] | None
    keep_device: bool
    keep_address: bool
    seal: SealMode | None
    seal_migrate_until: int | None
    imports: Literal["flask-session", "flask"] | None
    import_until: int | None
    import_table: str
    session_type: str | None
    store: Any = field(repr=False)
    revocation_store: Any = field(repr=False)
    owner_key: bytes | None = field(repr=False)
    seal_keys: tuple[Any, ...] | None = field(repr=False)

    @classmethod
    def load(cls, config: Mapping[str, Any]) -> Settings:
        """Return the settings that *config* has.

        Raises:
            ConfigurationError: A value is wrong, or two contradict each other. The message names the settings, their
                values and the fix.
        """
        parts: dict[str, dict[str, Any]] = {"": {}, "policy": {}, "cookie": {}}
        for each in _READ:
            part, _, attribute = each.to.rpartition(".")
            parts[part][attribute] = each.read(config)
        if parts[""]["session_type"] is not None:
            parts[""]["store"] = None
        for contradiction in cookie_rules.contradictions(config):
            raise ConfigurationError(contradiction)
        return cls(policy=Policy(**parts["policy"]), cookie=CookieSettings(**parts["cookie"]), **parts[""])


class LiveSettings:
    """The settings of one application, which follow its configuration.

    Making it completes *config*, the application's, with what its profile, Flask-Session's defaults and Holdfast's say.

    Attributes:
        config: The application's configuration.
        current: The settings as they were at the last `refresh`: in a request, when it first used its session.
        values: Returns the values of the live settings as the configuration has them now.
        seen: Those values at the last `refresh`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        _warn_of_unknown(config)
        config.update(profiles.filled_in(config))
        defaults = {each.name: each.default for each in (*FLASKS, *OWN)} | flask_session.defaults(config)
        others = (config.get(name) for name in ("WTF_CSRF_FIELD_NAME", "CSRF_COOKIE_NAME"))
        defaults["SESSION_VISITOR_KEYS"] += tuple(name for name in others if name is not None)
        config.update({name: value for name, value in defaults.items() if config.get(name) is None})
        self.config = config
        self.current = Settings.load(config)
        self.values: Callable[[], tuple[Any, ...]] = functools.partial(operator.itemgetter(*_LIVE), config)
        self.seen = self.values()
        self._warned: set[str] = set()
        self._fixed = [config.get(each.name) for each in _FIXED]
        _warn_of_long_lives(config, self.current.policy)

    def refresh(self) -> Settings:
        """Return the settings as the configuration has them now: see `Settings.load`."""
        self.seen, self.current = self.values(), Settings.load(self.config)
        return self.current

    def refuse_late_changes(self) -> None:
        """Refuse a change, since the start, of a setting that is read only then."""
        for each, value in zip(_FIXED, self._fixed, strict=True):
            now = self.config.get(each.name)
            if now is not value and now != value:
                raise ConfigurationError(
                    f"{each.name} was changed after Session(app), which reads it once: set it before"
                )

    def warn_once(self, message: str) -> None:
        """Log *message*, on what the settings lead to, as a warning: the first time only."""
        if message not in self._warned:
            self._warned.add(message)
            _logger.warning("%s", message)


def _warn_of_unknown(config: Mapping[str, Any]) -> None:
    known = {each.name.removeprefix(_PREFIX) for each in (*OWN, *FLASKS, *flask_session.SETTINGS)}
    known.add("PROTECTION")  # Flask-Login's
    for name in flask_session.without_type(config):
        warn(f"{name} has no effect without SESSION_TYPE")
    for name in config:
        rest = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and rest not in known:
            nearest = difflib.get_close_matches(rest, known, n=1)
            hint = f": did you mean {_PREFIX}{nearest[0]}?" if nearest else ""
            warn(f"{name} is not a setting of Holdfast or Flask{hint}")


def _warn_of_long_lives(config: Mapping[str, Any], policy: Policy) -> None:
    for name, span in (("PERMANENT_SESSION_LIFETIME", policy.idle), ("SESSION_ABSOLUTE_LIFETIME", policy.absolute)):
        if span > LONGEST_COOKIE:
            warn(f"{name} is {config[name]}: browsers keep a cookie for at most 400 days")
