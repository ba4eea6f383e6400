"""Names of Flask-Session's interface that applications use: kept with a warning, or refused with the replacement."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.flask.session import FlaskSession
    from holdfast.flask.settings.loading import LiveSettings

#: Attributes of Flask-Session's interfaces that mean nothing here, and what takes their place.
_REPLACED: Mapping[str, str] = {
    "cache": "keep a reference to the cache that you gave as SESSION_CACHELIB",
    "key_prefix": "read SESSION_KEY_PREFIX",
    "permanent": "read SESSION_PERMANENT",
    "serializer": "register types with holdfast.register_type, or set SESSION_SERIALIZATION_FORMAT",
    "session_class": "use holdfast.flask.FlaskSession in annotations; its data cannot be of another class",
    "sid_length": "a token always has 32 random bytes",
    "sql_session_model": "use holdfast.stores.sql.sessions_table in migrations",
    "use_signer": "read SESSION_USE_SIGNER",
}

#: Flask-Session's stores, as they begin the names of its classes: in lower case, the values of ``SESSION_TYPE``.
_STORES = ("CacheLib", "DynamoDB", "FileSystem", "Memcached", "MongoDB", "PostgreSql", "Redis", "SqlAlchemy")


class FlaskSessionSurface:
    """Flask-Session's methods of an application's ``session_interface``."""

    live: LiveSettings

    def regenerate(self, session: FlaskSession) -> None:
        """Give *session* a new token when the response is saved. Deprecated: call ``session.rotate()``."""
        _warn("app.session_interface.regenerate(session)", "session.rotate()")
        if session:
            session.rotate()

    @property
    def client(self) -> Any:
        """The client that the settings give, such as ``SESSION_REDIS``. Deprecated: keep a reference to it.

        Raises:
            ConfigurationError: They give none.
        """
        from holdfast.flask.settings.flask_session_compat import given_client

        _warn("app.session_interface.client", "the client that you gave in the settings")
        client = given_client(self.live.config)
        if client is None:
            raise ConfigurationError("the settings give no client for sessions: make one for your own use")
        return client

    def __getattr__(self, name: str) -> Any:
        instead = _REPLACED.get(name)
        hint = f", Flask-Session's, which Holdfast does not have: {instead}" if instead else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")


def imported(name: str) -> Any:
    """Return what takes the place of Flask-Session's class *name*.

    Raises:
        ImportError: Nothing does; the message says what to do instead.
        AttributeError: Flask-Session has no such class either.
    """
    store, of_session, rest = name.partition("Session")
    is_known = of_session and store in (*_STORES, "ServerSide")
    if is_known and not rest:
        from holdfast.flask.session import FlaskSession

        _warn(name, "holdfast.flask.FlaskSession")
        return FlaskSession
    if is_known and rest == "Interface":
        own = "write a store (docs/how-to/write-your-own-store.md)"
        setting = f"set SESSION_TYPE to {store.lower()!r}" if store in _STORES else own
        raise ImportError(f"{name} is Flask-Session's, and Holdfast has one interface for all stores: {setting}")
    raise AttributeError(f"module 'holdfast.flask' has no attribute {name!r}")


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is Flask-Session's: use {new}", DeprecationWarning, stacklevel=3)
