"""Cookies from before: ids of Flask-Session and Flask-KVSession, signed or not, and Flask's own signed cookie."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn
from weakref import ref

from flask import Flask
from flask.sessions import SecureCookieSessionInterface, session_json_serializer
from itsdangerous import BadData, Signer, URLSafeTimedSerializer

from holdfast.clock import SECOND, Clock
from holdfast.errors import ConfigurationError, saying
from holdfast.flask.settings import flask_session_compat as flask_session
from holdfast.flask.settings.loading import LiveSettings, Settings
from holdfast.flask.settings.secret_keys import signing_keys
from holdfast.imports.finders import finder_beside
from holdfast.imports.flask_session import FlaskSessions, kv_made_at
from holdfast.imports.place import OldPlace, OldSession
from holdfast.sessions.requests import Requests
from holdfast.stores.contract import Store

_FLASKS = SecureCookieSessionInterface

_logger = logging.getLogger("holdfast")


def build_place(app: Flask, settings: Settings, store: Store, clock: Clock) -> OldPlace:
    """Return the place where sessions were before, by ``SESSION_IMPORT``; refuse a *store* where there are none."""
    until = settings.import_until
    if settings.imports == "flask":
        return FlasksCookie(app, until=until, clock=clock)
    with saying("SESSION_IMPORT is 'flask-session':"):
        file_of = flask_session.old_file_of(app.config)
        finder = finder_beside(store, table=settings.import_table, clock=clock, file_of=file_of)
    lifetime = round(app.permanent_session_lifetime.total_seconds() * SECOND)
    return FlaskSessions(finder, flask_session.old_prefix(app.config), until=until, lifetime=lifetime, clock=clock)


class OldCookies:
    """Recognises cookies from before, and logs that their sessions are taken over, and when it ends."""

    def __init__(self, place: OldPlace, live: LiveSettings, manager: Requests) -> None:
        self._place = place
        self._live = live
        self._count = 0
        self._has_ended = False
        manager.context.events.subscribe(self._note, "imported")

    def read(self, app: Flask, value: str) -> str | None:
        """Return the old id in a cookie's *value*, or None."""
        place = self._place
        if not place.is_open:
            self._end()
            return None
        if isinstance(place, FlasksCookie):
            return value if place.has_form(value) else None
        old_id, _, signature = value.rpartition(".")
        if signature and place.has_form(old_id) and _is_signed(app, old_id, value):
            return old_id
        is_signed_always = self._live.current.use_signer or kv_made_at(value) is not None
        return value if not is_signed_always and place.has_form(value) else None

    def _note(self, _event: str, _details: Mapping[str, Any]) -> None:
        self._count += 1
        if self._count == 1:
            _logger.info(
                "a session from before was taken over, as SESSION_IMPORT asks; `flask sessions import --count` prints"
                " how many are left"
            )

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            _logger.info(
                "SESSION_IMPORT_UNTIL has passed: this process has taken over %d sessions. Set SESSION_IMPORT to False",
                self._count,
            )


def _is_signed(app: Flask, old_id: str, value: str) -> bool:
    if not app.secret_key:
        return False
    options: dict[str, Any] = (
        {} if kv_made_at(old_id) is not None else {"salt": "flask-session", "key_derivation": "hmac"}
    )
    signers = (Signer(key, **options) for key in signing_keys(app))
    return any(hmac.compare_digest(signer.sign(old_id), value.encode()) for signer in signers)


class FlasksCookie(OldPlace):
    """Flask's signed cookie as a place: the value of the cookie is the id of its session, and holds its data."""

    def __init__(self, app: Flask, *, until: int | None, clock: Clock) -> None:
        super().__init__(until, clock)
        self._app = ref(app)

    def has_form(self, old_id: str, /) -> bool:
        """Return whether *old_id* is a value of the cookie, and sessions are still taken over."""
        return self.is_open and old_id.count(".") >= 2 and self.load(old_id) is not None

    def load(self, old_id: str, /) -> OldSession | None:
        """Return the session in the cookie *old_id*, or None: it is too old, or its signature is not ours."""
        app = self._app()
        if app is None or not app.secret_key:
            return None
        for key in signing_keys(app):
            options: dict[str, Any] = {"key_derivation": _FLASKS.key_derivation, "digest_method": _FLASKS.digest_method}
            serializer = URLSafeTimedSerializer(
                key, salt=_FLASKS.salt, serializer=session_json_serializer, signer_kwargs=options
            )
            # One spelling of a signature alone, since another one would be another id.
            signed = Signer(key, salt=_FLASKS.salt, **options).sign(old_id.rpartition(".")[0])
            if hmac.compare_digest(signed, old_id.encode()):
                return self._read(serializer, old_id, app.permanent_session_lifetime)
        return None

    def _read(self, serializer: URLSafeTimedSerializer, value: str, lifetime: timedelta) -> OldSession | None:
        try:
            data, made_at = serializer.loads(value, return_timestamp=True)
        except BadData:
            return None
        expires_at = round((made_at + lifetime).timestamp() * SECOND)
        return OldSession(data if type(data) is dict else None, expires_at) if expires_at > self._clock() else None

    def ids(self) -> NoReturn:
        """Raise: the sessions are in the browsers' cookies."""
        raise ConfigurationError("the sessions are in the browsers' cookies: each is taken over at its first request")
