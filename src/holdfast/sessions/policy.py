"""The timeouts and choices for sessions, and the arithmetic on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from holdfast.clock import DAY, HOUR, MINUTE, SECOND
from holdfast.errors import ConfigurationError
from holdfast.events import RejectReason
from holdfast.records.envelope import Envelope
from holdfast.records.metadata import LIFETIME, SENT_AT, moment

#: The tolerated difference between clocks before a time counts as not yet valid.
SKEW = MINUTE

#: Browsers keep a cookie for this long at most: RFC 6265bis §5.5.
LONGEST_COOKIE = 400 * DAY

#: A record is kept this long past its deadline, so that the session's own times decide and give the reason for its end,
#: and so that no host or store whose clock is ahead removes a live session.
RETENTION = DAY

_QUARTER = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy for the sessions of one application. All spans are in milliseconds.

    Attributes:
        idle: The idle timeout. Default: 31 days, Flask's own.
        absolute: The absolute timeout, used or not. Default: 400 days.
        not_before: Sessions that began before this moment are over, in milliseconds since the epoch. Default: None.
        renewal: The interval at which a session in use gets a new token; None, the default: never.
        grace: How long a tombstone is kept after a rotation, and an alias leads on after a renewal. Default: 30
            seconds.
        permanent: Whether a new session outlives the browser. Default: False, Flask's own.
        refresh_cookie: Whether the cookie of a permanent session is sent again, when it is due, although nothing in the
            session changed. Default: True, Flask's own.
        on_conflict: ``"merge"``, the default, or ``"error"``.
        on_store_error: ``"raise"``, the default, or ``"anonymous"``: an empty read-only session.
        max_bytes: The largest payload, in bytes. Default: 1 MiB.
        attempts: The maximum number of attempts to save while others change the session. Default: 100.
        patience: How long a request goes on after the first attempt failed. Default: 10 seconds.
        max_per_user: The maximum number of sessions of a user; None, the default: no limit.
        on_max_per_user: The action at a login above the limit: ``"evict-oldest"``, the default, ends the least recently
            used session of that user; ``"refuse"`` fails.
        identity_keys: Keys of the data whose value is a user id: setting one is a login and removing it a logout; the
            first present one counts. Default: those of Flask's quickstart and tutorial, and Flask-Principal's.
        visitor_keys: Keys of the data with secrets of a visitor, which a login removes. Default: the CSRF tokens of
            Flask-WTF, Flask-SeaSurf and WTForms, which Flask-Admin uses.
    """

    idle: int = 31 * DAY
    absolute: int = LONGEST_COOKIE
    not_before: int | None = None
    renewal: int | None = None
    grace: int = 30 * SECOND
    permanent: bool = False
    refresh_cookie: bool = True
    on_conflict: Literal["merge", "error"] = "merge"
    on_store_error: Literal["raise", "anonymous"] = "raise"
    max_bytes: int = 1024 * 1024
    attempts: int = 100
    patience: int = 10 * SECOND
    max_per_user: int | None = None
    on_max_per_user: Literal["evict-oldest", "refuse"] = "evict-oldest"
    identity_keys: tuple[str, ...] = ("user_id", "username", "identity.id")
    visitor_keys: tuple[str, ...] = ("csrf_token", "_csrf_token", "csrf")

    def __post_init__(self) -> None:
        for name in ("idle", "absolute", "renewal", "grace", "max_bytes", "attempts", "patience", "max_per_user"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value <= 0):
                raise ConfigurationError(f"{name} is {value!r}: it must be a whole number, 1 or more")

    def idle_of(self, meta: Mapping[str, str]) -> int:
        """Return the idle timeout of the session with the metadata *meta*: its own lifetime, or the policy's."""
        if LIFETIME not in meta:
            return self.idle
        lifetime = moment(meta, LIFETIME)
        return self.idle if lifetime is None else min(lifetime, self.absolute)

    def expires_at(self, created_at: int, now: int, meta: Mapping[str, str]) -> int:
        """Return the expiry in the store of a session with the metadata *meta* that is used *now*."""
        return min(now + self.idle_of(meta), created_at + self.absolute) + RETENTION

    def end_of(self, envelope: Envelope) -> int:
        """Return when the session ends in any case."""
        return envelope.created_at + self.absolute

    def last_used_at(self, envelope: Envelope, expires_at: int) -> int:
        """Return the time of the last write or touch, according to the record: never too late."""
        return expires_at - RETENTION - envelope.idle

    def idle_deadline(self, envelope: Envelope, expires_at: int) -> int:
        """Return the end of the session by the current idle timeout."""
        idle = self.idle_of(envelope.meta)
        return expires_at - RETENTION - (envelope.idle - idle if envelope.idle > idle else 0)

    def verdict(self, envelope: Envelope, expires_at: int, now: int, used_at: int | None = None) -> RejectReason | None:
        """Return why a stored session is not valid *now*, or None if it is.

        The timeouts are checked at *used_at*, the moment of its use; by default *now*.
        """
        used_at = now if used_at is None else used_at
        if not isinstance(expires_at, int):  # others may write to the database, and some databases accept any value
            return "corrupt"
        created_at = envelope.created_at
        if max(created_at, envelope.issued_at) > now + SKEW:
            return "not_yet_valid"
        if used_at >= created_at + self.absolute or created_at < (self.not_before or 0):
            return "expired_absolute"
        if used_at >= self.idle_deadline(envelope, expires_at):
            return "expired_idle"
        return None

    def touch_interval(self, meta: Mapping[str, str]) -> int:
        """Return the interval between touches of a session in use, in milliseconds: the precision of the last use.

        It is a tenth of the idle timeout, but at most a quarter of an hour, and at most a minute if the timeout is an
        hour or less.
        """
        return _interval(self.idle_of(meta))

    def touch_due(self, envelope: Envelope, expires_at: int, now: int) -> bool:
        """Return whether a use *now* requires a touch: once per `touch_interval`."""
        idle = self.idle_of(envelope.meta)
        throttle = _interval(idle)
        if now - self.last_used_at(envelope, expires_at) < throttle:
            return False
        is_longer = self.expires_at(envelope.created_at, now, envelope.meta) - expires_at >= throttle
        return is_longer or envelope.idle != idle

    def cookie_due(self, envelope: Envelope, now: int, *, navigation: bool, sent_at: int | None = None) -> bool:
        """Return whether the cookie of a permanent session is due to be sent again *now*, to live longer.

        A *navigation* gets it once per `touch_interval`: a browser does not load a page while it signs in. Any other
        request gets it only when half of the cookie's life is over. *sent_at* is when it was last sent; default: as
        the metadata say.
        """
        if sent_at is None:
            sent_at = moment(envelope.meta, SENT_AT) or envelope.issued_at
        idle, interval, end = self.idle_of(envelope.meta), self.touch_interval(envelope.meta), self.end_of(envelope)
        life, age = min(envelope.idle, end - sent_at), now - sent_at
        if age < (interval if navigation else min(life, idle) // 2):
            return False
        gain = min(now + idle, end) - (sent_at + life)
        return gain >= interval or envelope.idle != idle

    def renewal_due(self, issued_at: int, now: int, *, navigation: bool = True) -> bool:
        """Return whether the token has been in use for the renewal interval; twice that, if not for a *navigation*."""
        return self.renewal is not None and now - issued_at >= self.renewal * (1 if navigation else 2)


def _interval(idle: int) -> int:
    return min(MINUTE if idle <= HOUR else _QUARTER, idle // 10)
