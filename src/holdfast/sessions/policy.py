"""The timeouts and choices that decide about a session, and the arithmetic that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.clock import DAY, HOUR, MINUTE, SECOND
from holdfast.errors import ConfigurationError
from holdfast.events import RejectReason
from holdfast.records.envelope import Envelope

#: A clock may be this far ahead of another before what it stamped counts as not yet valid.
SKEW = MINUTE

#: A record is kept this long past its deadline, so that the session's own times decide and can say why it is over,
#: and so that a store whose clock runs ahead does not end sessions early.
RETENTION = MINUTE


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for the sessions of one application. All spans are in milliseconds.

    Attributes:
        idle: A session that is not used for this long is over. Default: 31 days, Flask's own.
        absolute: A session is over this long after it began, used or not. Default: 400 days.
        renewal: A session in use gets a new token this often; None, the default, never.
        grace: How long a tombstone stands after a rotation, and an alias leads on after a renewal. Default: 30 seconds.
        permanent: Whether a new session outlives the browser. Default: False, Flask's own.
        on_conflict: ``"merge"``, the default, or ``"error"``.
        on_store_error: ``"raise"``, the default, or ``"anonymous"``: an empty read-only session.
        max_bytes: The largest payload, in bytes. Default: 1 MiB.
        attempts: How often a save is tried while others keep changing the session. Default: 100.
        max_per_user: How many sessions a user may have at once; None, the default, any number.
        on_max_per_user: What a login does that would be one more: ``"evict-oldest"``, the default, ends the session
            of that user that was not used for longest; ``"refuse"`` fails.
    """

    idle: int = 31 * DAY
    absolute: int = 400 * DAY
    renewal: int | None = None
    grace: int = 30 * SECOND
    permanent: bool = False
    on_conflict: Literal["merge", "error"] = "merge"
    on_store_error: Literal["raise", "anonymous"] = "raise"
    max_bytes: int = 1024 * 1024
    attempts: int = 100
    max_per_user: int | None = None
    on_max_per_user: Literal["evict-oldest", "refuse"] = "evict-oldest"

    def __post_init__(self) -> None:
        for name in ("idle", "absolute", "renewal", "grace", "max_bytes", "attempts", "max_per_user"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigurationError(f"{name} is {value}: it must be greater than 0")

    def expires_at(self, created_at: int, now: int) -> int:
        """Return until when a store keeps a session that is used *now*."""
        return min(now + self.idle, created_at + self.absolute) + RETENTION

    def last_used_at(self, envelope: Envelope, expires_at: int) -> int:
        """Return when the session was last written or touched, as far as its record tells: never too late."""
        return expires_at - RETENTION - envelope.idle

    def idle_deadline(self, envelope: Envelope, expires_at: int) -> int:
        """Return when the session is over for want of use, by the idle timeout that holds today."""
        return expires_at - RETENTION - max(0, envelope.idle - self.idle)

    def verdict(self, envelope: Envelope, expires_at: int, now: int) -> RejectReason | None:
        """Return why a stored session does not count any more, or None when it is good."""
        if not isinstance(expires_at, int):  # others may write to the database, and some databases take any value
            return "corrupt"
        if envelope.created_at > now + SKEW or envelope.issued_at > now + SKEW:
            return "not_yet_valid"
        if now >= envelope.created_at + self.absolute:
            return "expired_absolute"
        if now >= self.idle_deadline(envelope, expires_at):
            return "expired_idle"
        return None

    @property
    def touch_interval(self) -> int:
        """How long a session in use goes without a touch, in milliseconds: a last use is known as closely as this.

        It is a tenth of the idle timeout, and at most a minute where the timeout is an hour or less.
        """
        tenth = self.idle // 10
        return min(tenth, MINUTE) if self.idle <= HOUR else tenth

    def touch_due(self, envelope: Envelope, expires_at: int, now: int) -> bool:
        """Tell whether a use *now* is worth a touch: once per `touch_interval`."""
        throttle = self.touch_interval
        if now - self.last_used_at(envelope, expires_at) < throttle:
            return False
        return envelope.idle != self.idle or self.expires_at(envelope.created_at, now) - expires_at >= throttle

    def renewal_due(self, issued_at: int, now: int) -> bool:
        """Tell whether the token has been in use for the renewal interval."""
        return self.renewal is not None and now - issued_at >= self.renewal
