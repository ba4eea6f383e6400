"""The session of one Flask request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask, Request
from flask.sessions import SessionMixin

from holdfast.errors import EncodeError
from holdfast.flask.cookies import Presented
from holdfast.flask.user_agent import AGENT, agent_of, device_of
from holdfast.records.metadata import ADDRESS, Device, fit
from holdfast.sessions.mapping import PERMANENT, Opened, ServerSession, Wishes

if TYPE_CHECKING:
    from holdfast.flask.interface import HoldfastInterface

#: An IPv6 address with a zone is at most about this long.
_LONGEST_ADDRESS = 64


class FlaskSession(ServerSession, SessionMixin):
    """What `flask.session` stands for: Flask's session, with `rotate`, `bind`, `destroy` and `apply`.

    Nothing is looked up before the view touches it.

    Attributes:
        loaded_at: When it was looked up.
        stale_cookie: Whether its cookie was signed with a key that is no longer the first.
        was_permanent: Whether it was permanent when it was looked up.
        settled: Whether the store has what the request left in it, so that a difference is a late change.
        failure: What the lookup raised.
    """

    def __init__(self, interface: HoldfastInterface, app: Flask, request: Request) -> None:
        super().__init__(keys=interface.manager.keys, started_at=interface.manager.clock())
        self._interface = interface
        self._app = app
        self._request = request
        self._accessed = False
        self._marked = False
        self.loaded_at = self.started_at
        self.settled = True
        self.stale_cookie = False
        self.was_permanent = False
        self.failure: Exception | None = None

    def load(self) -> Opened:
        """Look up the request's cookie.

        After an error, of the store or of what the application has registered to come first, the session is empty and
        read-only, so that an error page can be rendered and nothing is stored over the good session.

        Raises:
            StoreUnavailable: The store failed.
        """
        presented = self._interface.cookies.read(self._app, self._request)
        self.stale_cookie = presented.stale
        self.opened = Opened(read_only=True)  # to what is called meanwhile, too
        try:
            if presented.token is not None or presented.reason is not None:
                for hook in self._interface.before_lookup:
                    hook()
            opened = self._look_up(presented)
        except Exception as error:
            self.failure = error
            raise
        self.was_permanent = bool(opened.data.get(PERMANENT, self._interface.settings.policy.permanent))
        return opened

    def _look_up(self, presented: Presented) -> Opened:
        manager, settings = self._interface.manager, self._interface.settings
        self.loaded_at = manager.clock()
        if presented.reason is not None:
            manager.context.emit("rejected", reason=presented.reason)
        opened = manager.open(presented.token)
        if settings.require_https and not self.arrived_secure:
            self._give_up(opened)
            self._interface.warn_once(
                "a request over plain http used the session and was given none: SESSION_REQUIRE_HTTPS forbids it."
                " Behind a proxy that speaks https for the application, use werkzeug.middleware.proxy_fix.ProxyFix"
            )
            return Opened(read_only=True)
        if settings.on_device_change is not None and self._changed_device(opened):
            manager.context.emit("rejected", reason="binding_changed")
            if settings.on_device_change == "end":
                self._give_up(opened)
                return Opened()
        return opened

    def _give_up(self, opened: Opened) -> None:
        """End the session that was found, because somebody else may have its token."""
        manager = self._interface.manager
        if opened.loaded is not None and manager.revokes:
            manager.revoke(opened.loaded.key)

    def _changed_device(self, opened: Opened) -> bool:
        began = opened.loaded.envelope.meta.get(AGENT) if opened.loaded else None
        return began is not None and began != agent_of(self._request.headers.get("User-Agent", ""))

    @property
    def arrived_secure(self) -> bool:
        """Whether the request came over HTTPS, as far as the application is told."""
        return self._request.is_secure

    @property
    def ends_login(self) -> bool:
        """Whether the request signs the user out, or ends the session that it found, whatever goes on afterwards."""
        return self.wishes.rebind and self.wishes.owner is None and self.loaded is not None

    def take(self, key: str) -> bool:
        """Remove *key* from the stored session at once."""
        return self._interface.manager.take(self, key)

    def spend(self) -> bool:
        """Make use of the user's authentication."""
        return self._interface.manager.spend(self)

    @property
    def delivers(self) -> bool:
        """Whether the response can carry a cookie. That of a WebSocket was sent when it was opened."""
        return str(self._request.environ.get("HTTP_UPGRADE", "")).lower() != "websocket"

    def describe(self) -> dict[str, str | None]:
        """Return what the request tells of its device and address, as far as the settings let it be kept."""
        settings, request = self._interface.settings, self._request
        device = device_of(request.headers.get("User-Agent", "")) if settings.keep_device else Device()
        address = fit(request.remote_addr or "", _LONGEST_ADDRESS) if settings.keep_address else None
        return {**device.as_meta(), ADDRESS: address}

    def meta_upon(self, stored: Mapping[str, str], *, permanent: bool) -> dict[str, str]:
        """Return the metadata to store over *stored*: a new session, and a login, belong to the device at hand."""
        meta = super().meta_upon(stored, permanent=permanent)
        begins = not stored or self.wishes.rebind or self.wishes.wiped
        if begins and self._interface.settings.on_device_change is not None:
            meta[AGENT] = agent_of(self._request.headers.get("User-Agent", ""))
        return meta

    def revoke_others(self) -> int:
        """End every other session of this session's user, and rotate this one: for a changed password.

        Store the new password first. Holds against saves, rotations and logins in flight, as ``sessions.revoke_all``
        does. Returns how many were ended.

        Raises:
            ValueError: The session is bound to nobody.
            ConfigurationError: The store keeps no index by owner.
        """
        return self._interface.manager.revoke_others(self)

    def still_valid(self) -> bool:
        """Look again whether the session that the request found still lives, and is still its user's.

        For handlers that outlast a request. Nothing is written, and the session's data stay as they were loaded. False,
        too, where the request came without a session.

        Raises:
            StoreUnavailable: The store failed: it is not known.
        """
        return self._interface.manager.still_valid(self)

    @property
    def accessed(self) -> bool:
        """Whether the request used the session in any way, so that its response varies by cookie."""
        return self._accessed or self.opened is not None

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self._accessed = value

    @property
    def modified(self) -> bool:
        """Whether the session differs from what was loaded. Setting it is not needed: nested changes are found too."""
        return self._marked or bool(self.wishes.meta) or (self.opened is not None and self._differs())

    @modified.setter
    def modified(self, value: bool) -> None:
        self._marked = value

    @property
    def marked(self) -> bool:
        """Whether a key was set or removed, or `modified` set to True, be it a change or not."""
        return self._marked or bool(self.wishes.assigned)

    @property
    def new(self) -> bool:  # type: ignore[override]  # Flask declares an attribute
        """Whether there is no stored session yet."""
        return self.loaded is None

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser's session. A new session starts with ``SESSION_PERMANENT``."""
        return bool(self._open().data.get(PERMANENT, self._interface.settings.policy.permanent))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self[PERMANENT] = bool(value)

    def keep_only_a_logout(self) -> bool:
        """Drop what a failed request asked for, except that the session ends; return whether it does.

        A logout that failed halfway must not leave the session open.
        """
        if not (self.wishes.rebind and (self.wishes.wiped or self.wishes.owner is None)):
            return False
        self.data.clear()
        self.wishes = Wishes(wiped=True, rebind=True)
        return True

    def report_late_change(self) -> None:
        """Tell of a nested change made while the response was streamed, which nothing else would notice."""
        if self.settled and self.opened is not None and not self.opened.read_only and self._differs():
            self.warn_of_late_change()

    def _differs(self) -> bool:
        loaded = self.loaded
        if loaded is None:
            return bool(self.data)
        try:
            return loaded.envelope.codec.dumps(self.data) != loaded.envelope.payload
        except EncodeError:  # what was loaded could be encoded
            return True
