"""The table of settings: their names, defaults, values and documentation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask

from holdfast.flask.settings import cookie_rules, setting
from holdfast.flask.settings.setting import InvalidValue, Setting
from holdfast.records.codec import JSON, MSGPACK, Codec
from holdfast.sessions.policy import Policy

#: The directives of Clear-Site-Data.
_DIRECTIVES = (
    "cache", "cookies", "storage", "executionContexts", "clientHints", "prefetchCache", "prerenderCache", "*",
)  # fmt: skip

_POLICY = Policy()


def _codec(value: Any) -> Codec:
    codecs = {codec.name: codec for codec in (MSGPACK, JSON)}
    return codecs[setting.one_of(*codecs)(value)]


def _directives(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("cookies", "storage") if value else ()
    if isinstance(value, list | tuple) and all(directive in _DIRECTIVES for directive in value):
        return tuple(value)
    raise InvalidValue(f"it must be True, False, or a list of some of {', '.join(map(repr, _DIRECTIVES))}")


def _source(value: Any) -> str | None:
    return None if value is False else setting.one_of("flask-session", "flask", or_none=True)(value)


def _of_policy(name: str, parse: Callable[[Any], Any], attribute: str, doc: str) -> Setting:
    default = getattr(_POLICY, attribute)
    if parse is setting.span and default is not None:
        default = timedelta(milliseconds=default)
    return Setting(name, parse, default, f"policy.{attribute}", live=True, doc=doc)


def _of_flask(name: str, parse: Callable[[Any], Any], to: str, doc: str) -> Setting:
    # Flask 2.3 has no SESSION_COOKIE_PARTITIONED.
    return Setting(name, parse, Flask.default_config.get(name, False), to, live=True, doc=doc)


# A setting is one row.
# fmt: off

#: Holdfast's own settings, in the order of the documentation.
OWN: tuple[Setting, ...] = (
    Setting("SESSION_STORE", setting.anything, default="sqlite:///sessions.db", to="store", doc=
        "The session store: a [URL](#store-urls), a ready client such as `redis.Redis` or a SQLAlchemy engine, or a "
        "[store](../how-to/write-your-own-store.md) object."),
    Setting("SESSION_PROFILE", setting.anything, doc=
        'Change the defaults to the requirements of a standard: `"asvs-l1"`, `"asvs-l2"`, `"asvs-l3"`, '
        '`"nist-aal1"`, `"nist-aal2"` or `"nist-aal3"`. [Values of each](profiles.md).'),
    Setting("SESSION_PROFILE_EXCEPT", setting.anything, default=(), doc=
        "Names of settings that the profile does not change. Needed only to keep Flask's own default under a "
        "profile."),
    Setting("SESSION_REVOCATION_STORE", setting.anything, to="revocation_store", doc=
        'With `SESSION_STORE="cookie://"`: the store of [revocations](../how-to/client-side.md), in the forms of '
        "`SESSION_STORE`."),
    Setting("SESSION_KEY_PREFIX", setting.text, default="session:", to="namespace", doc=
        "The namespace, which is hashed with the token and the user ids. Two applications on one store need different "
        "ones: otherwise a user of one [is the same user](../how-to/several-applications.md#in-one-store) of the "
        "other."),
    _of_policy("SESSION_PERMANENT", setting.switch, "permanent", doc=
        "Whether new sessions are permanent: their cookies outlive the browser, as if the view had set "
        "`session.permanent`."),
    _of_policy("SESSION_ABSOLUTE_LIFETIME", setting.span, "absolute", doc=
        "The absolute timeout: a session expires this long after it, or its login, began, even when it is in use."),
    _of_policy("SESSION_NOT_BEFORE", setting.moment, "not_before", doc=
        "Every session that began before this moment is over, at once: after a break-in, or [a restored "
        "backup](../how-to/back-up-and-restore.md#restore). An aware `datetime` or text such as "
        '`"2027-01-31T00:00:00Z"`, not in the future.'),
    _of_policy("SESSION_RENEWAL_INTERVAL", setting.span, "renewal", doc=
        "How often a session in use gets a new token. The old token leads to the new one until that is presented, "
        "and for the grace period after that."),
    _of_policy("SESSION_ROTATION_GRACE", setting.span, "grace", doc=
        "How long a late request with a replaced token is recognised: it is anonymous and read-only after a login, "
        "and gets the session after a renewal."),
    _of_policy("SESSION_ON_CONFLICT", setting.one_of("merge", "error"), "on_conflict", doc=
        'When two requests changed the session at once: `"merge"` merges [key by '
        'key](../explanation/guarantees.md#two-requests-change-the-session-at-once), `"error"` answers 409.'),
    _of_policy("SESSION_ON_STORE_ERROR", setting.one_of("raise", "anonymous"), "on_store_error", doc=
        'When the store is down and a request uses the session: `"raise"` answers 503, `"anonymous"` continues with '
        "an empty, read-only session."),
    Setting("SESSION_SAVE_ON_ERROR", setting.switch, default=False, to="save_on_error", live=True, doc=
        "Whether changes are saved when the response is a 5xx. A logout is always saved."),
    _of_policy("SESSION_MAX_BYTES", setting.number(1, "a whole number of bytes greater than 0"), "max_bytes", doc=
        "The largest session, encoded, in bytes. A larger one raises `RecordTooLarge`, a 500 unless you handle it; the "
        "stored one stays as it was."),
    Setting("SESSION_SERIALIZATION_FORMAT", _codec, default="msgpack", to="codec", doc=
        'The encoding of saved sessions: `"msgpack"`, or `"json"`, which is human-readable. Stored sessions in '
        "either format can be read."),
    Setting("SESSION_OWNER_KEY", setting.secret, to="owner_key", secret=True, doc=
        "A secret of 32 random bytes or more for hashing user ids in the index, so that a copy of the store does not "
        "reveal which users have sessions. Changing it empties the index."),
    Setting("SESSION_REQUIRE_HTTPS", setting.switch, default=False, to="require_https", live=True, doc=
        "Over plain http the session is empty and read-only, and no cookie is sent. If a request over plain http "
        "presents a token and uses the session, that session is ended. Behind a proxy, use Werkzeug's `ProxyFix`."),
    Setting("SESSION_CACHE_CONTROL", setting.one_of("private", "no-store"), default="private", to="cache_control",
        live=True, doc=
        'The `Cache-Control` of responses, added to their own: `"private"` on those that set the cookie, in place of '
        '`public` and `s-maxage`, or `"no-store"` on all that used the session.'),
    Setting("SESSION_CLEAR_SITE_DATA", _directives, default=False, to="clear_site_data", live=True, doc=
        'The `Clear-Site-Data` header of a logout: `True` for cookies and storage, or a list such as `["cache", '
        '"cookies"]`. `"cookies"` clears the cookies of the whole registrable domain; it is omitted if the session '
        "continues without the user."),
    Setting("SESSION_ON_DEVICE_CHANGE", setting.one_of("signal", "end", or_none=True), to="on_device_change",
        live=True, doc=
        "When the hash of the `User-Agent` differs from the one at the session's start or login: `\"signal\"` sends "
        '`rejected` with `binding_changed`, `"end"` also ends the session. A browser update changes the '
        "`User-Agent`."),
    Setting("SESSION_KEEP_DEVICE", setting.switch, default=True, to="keep_device", live=True, doc=
        'Store the [device](../how-to/whose-sessions.md#devices) of a login, as families such as "Firefox" and '
        '"Linux", never the `User-Agent` itself. Needs `holdfast[devices]`; without it no device is stored.'),
    Setting("SESSION_KEEP_ADDRESS", setting.switch, default=False, to="keep_address", live=True, doc=
        "Store the client address of a login, from Flask's `request.remote_addr`."),
    _of_policy("SESSION_MAX_PER_USER", setting.number(1, "a whole number greater than 0, or None"), "max_per_user", doc=
        "The [number of sessions](../how-to/whose-sessions.md#limit-the-number) that a user may have at once."),
    _of_policy("SESSION_ON_MAX_PER_USER", setting.one_of("evict-oldest", "refuse"), "on_max_per_user", doc=
        'At a login above the limit: `"evict-oldest"` ends the least recently used session, `"refuse"` answers 409.'),
    _of_policy("SESSION_IDENTITY_KEYS", setting.names, "identity_keys", doc=
        "Keys of the session whose value is a user id. Setting the first that is present to another value is a "
        "login: the session is bound and gets a new token, and keeps its data. Removing it is a logout. A value that "
        "is no id, such as `True` or a dict, binds nobody, and changes the token too, also when it is changed in "
        "place. Set them when the password was checked, not when a name was entered: the session would be among that "
        "user's. They have no effect while Flask-Login names the user, or in a session that `bind` has bound to "
        "another one."),
    _of_policy("SESSION_VISITOR_KEYS", setting.names, "visitor_keys", doc=
        "Keys of the session that hold secrets of a visitor, such as CSRF tokens. A login removes them, so that "
        "they are made anew for the user. The default has Flask-WTF's `WTF_CSRF_FIELD_NAME` and "
        "Flask-SeaSurf's `CSRF_COOKIE_NAME` too, if they are set."),
    Setting("SESSION_USE_SIGNER", setting.switch, default=False, to="use_signer", doc=
        "Sign the token with `SECRET_KEY`, so that a forged cookie costs no store call. Signatures by "
        "`SECRET_KEY_FALLBACKS` are accepted and renewed. [Weak keys](#secret-keys) are refused."),
    Setting("SESSION_TRANSPORT", setting.one_of("cookie", "header", "both"), default="cookie", to="transport", doc=
        'Where clients send the token: `"cookie"`, `"header"` for `Authorization: Bearer`, or `"both"`, each with '
        "sessions of its own. [For APIs and mobile clients](../how-to/api-clients.md)."),
    Setting("SESSION_COOKIE_OLD_NAMES", cookie_rules.cookie_names, default=(), to="cookie.old_names", doc=
        "Former names of the session cookie, for a change of `SESSION_COOKIE_NAME`, or for a profile, which changes "
        "it. A session in such a cookie [moves to one of the present name](../how-to/change-the-cookie.md)."),
    Setting("SESSION_IMPORT", _source, to="imports", doc=
        'Take over sessions from before: `"flask-session"` those that '
        '[Flask-Session](../how-to/coming-from-flask-session.md) stored in the place of the store, `"flask"` those in '
        "[Flask's cookie](../how-to/coming-from-flasks-cookie.md). "
        '`SESSION_TYPE` changes the default to `"flask-session"`; `False` disables it.'),
    Setting("SESSION_IMPORT_UNTIL", setting.moment, to="import_until", doc=
        "From this time on none is taken over: an aware `datetime` or text such as "
        '`"2027-01-31T00:00:00Z"`.'),
    Setting("SESSION_IMPORT_TABLE", setting.name, default="sessions", to="import_table", doc=
        "The table or collection of Flask-Session."),
    Setting("SESSION_SEAL", setting.one_of("keys", "cookie", "mac", or_none=True), to="seal", doc=
        '[Seal](../how-to/sealing.md) stored sessions: `"keys"` encrypts them with the seal keys, `"cookie"` with the '
        'seal keys and the cookie, `"mac"` only authenticates them. The default with `SESSION_SEAL_KEYS` is `"keys"`.'),
    Setting("SESSION_SEAL_KEYS", setting.keys, to="seal_keys", secret=True, doc=
        "The seal keys, the newest first: 32 bytes each, or their base64url text. `flask sessions new-key` prints "
        "one."),
    Setting("SESSION_SEAL_MIGRATE_UNTIL", setting.moment, to="seal_migrate_until", doc=
        "Until this time, records that are not sealed, or sealed another way, are still read: an aware `datetime` "
        'or text such as `"2027-01-31T00:00:00Z"`.'),
)

#: Flask's settings that Holdfast uses, with Flask's defaults.
FLASKS: tuple[Setting, ...] = (
    _of_flask("PERMANENT_SESSION_LIFETIME", setting.span, "policy.idle", doc=
        "The idle timeout of every session, permanent or not, enforced on the server. It is also the lifetime of a "
        "permanent session's cookie."),
    _of_flask("SESSION_REFRESH_EACH_REQUEST", setting.flask_switch, "policy.refresh_cookie", doc=
        "Whether a permanent session's cookie lives on with its session although nothing was changed in it. It is "
        "[sent again when it is due](../explanation/guarantees.md#the-cookie-of-a-permanent-session), not on each "
        "response."),
    _of_flask("SESSION_COOKIE_NAME", cookie_rules.cookie_name, "cookie.name", doc="As in Flask."),
    _of_flask("SESSION_COOKIE_DOMAIN", cookie_rules.domain, "cookie.domain", doc=
        "As in Flask: the hosts below this domain share the cookie. Unset, the host that set it has it alone."),
    _of_flask("SESSION_COOKIE_PATH", cookie_rules.path, "cookie.path", doc=
        "As in Flask. Unset, it is `APPLICATION_ROOT`."),
    _of_flask("APPLICATION_ROOT", setting.anything, "cookie.root", doc="As in Flask."),
    _of_flask("SESSION_COOKIE_HTTPONLY", setting.flask_switch, "cookie.httponly", doc="As in Flask."),
    _of_flask("SESSION_COOKIE_SECURE", setting.flask_switch, "cookie.secure", doc=
        "As in Flask. With it, a cookie sent over plain http is logged as a warning, since browsers drop it; "
        "`SESSION_REQUIRE_HTTPS` prevents sending it."),
    _of_flask("SESSION_COOKIE_SAMESITE", cookie_rules.same_site, "cookie.samesite", doc="As in Flask."),
    _of_flask("SESSION_COOKIE_PARTITIONED", cookie_rules.partitioned, "cookie.partitioned", doc=
        "As in Flask. Needs Werkzeug 3.1."),
)
# fmt: on
