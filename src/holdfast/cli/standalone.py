"""A store's sessions without the application: ``python -m holdfast``."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import click

from holdfast.cli.base import Misuse, Place, url_from
from holdfast.cli.survey import NEVER
from holdfast.errors import ConfigurationError, UnknownKey
from holdfast.records.encryption import Sealer, Unsealed
from holdfast.records.envelope import Envelope, Sealed
from holdfast.records.metadata import NAMESPACE, mark_of
from holdfast.records.tokens import Keys
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.stores.contract import Closes
from holdfast.stores.urls import open_store

_OWNER_KEY, _SEAL_KEYS = "SESSION_OWNER_KEY", "SESSION_SEAL_KEYS"


class _Metadata(Unsealed):
    """Tells of sealed records what can be told: their times, and with a key their metadata too.

    Whose they are among applications that share a store is in the metadata: without a key all are shown.
    """

    def __init__(self, namespace: str, keys: Sequence[str]) -> None:
        mark = mark_of(namespace)
        self._meta = {NAMESPACE: mark} if mark is not None else {}
        try:
            self._sealer = Sealer("keys", keys, migrate_until=NEVER) if keys else None
        except ConfigurationError as error:
            raise ConfigurationError(f"{_SEAL_KEYS} cannot be used: {error}") from error

    def open_metadata(self, body: Envelope | Sealed, *, key: str, owner: str | None) -> Envelope:
        """Return the session that *body* holds, without its payload, and without metadata that no key opens."""
        if not isinstance(body, Sealed):
            return body
        if self._sealer is not None:
            try:
                return self._sealer.open_metadata(body, key=key, owner=owner)
            except UnknownKey:
                pass
        return Envelope(body.created_at, body.issued_at, body.idle, b"", body.codec, self._meta)


def outside_place(
    context: click.Context, *, store: str | None, namespace: str, owner_key: str | None, seal_keys: str | None
) -> Place:
    """Return the place of the store with the URL *store*, for an application with these settings.

    Args:
        context: The end of it closes the store.
        store: The URL, or None: then only commands work that need no store.
        namespace: ``SESSION_KEY_PREFIX``.
        owner_key: The environment variable that ``SESSION_OWNER_KEY`` is in. Default: the one of that name, if set.
        seal_keys: The environment variable that ``SESSION_SEAL_KEYS`` are in, separated by spaces or commas. Default:
            the one of that name, if set.
    """

    @functools.cache
    def manager() -> Manager:
        if store is None:
            raise Misuse("which store? Give --store URL before the command, or set HOLDFAST_STORE")
        secret = _variable(owner_key, _OWNER_KEY)
        keys = (_variable(seal_keys, _SEAL_KEYS) or "").replace(",", " ").split()
        opened = open_store(url_from(store), root=Path.cwd())
        if isinstance(opened, Closes):
            context.call_on_close(opened.close)
        return Manager(
            opened,
            # The record tells when a session is over; what the application would add to that is not known here.
            policy=Policy(idle=NEVER, absolute=NEVER),
            keys=Keys(namespace, owner_secret=secret.encode() if secret else None),
            sealer=_Metadata(namespace, keys),
        )

    return Place(manager, Path.cwd(), store or "")


def _variable(name: str | None, default: str) -> str | None:
    value = os.environ.get(name or default)
    if name is not None and not value:
        raise Misuse(f"the environment variable {name} is not set")
    return value
