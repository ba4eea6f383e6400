"""A store's sessions without the application: ``python -m holdfast``."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import click

from holdfast import __version__
from holdfast.cli import COMMANDS
from holdfast.cli.errors import Misuse
from holdfast.cli.group import Commands
from holdfast.cli.target import NEVER, Target, url_from, variable
from holdfast.errors import saying
from holdfast.records.encryption import Sealer
from holdfast.records.tokens import Keys, is_text, owner_secret
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.stores.contract import Closes
from holdfast.stores.registry import open_store

_OWNER_KEY, _SEAL_KEYS = "SESSION_OWNER_KEY", "SESSION_SEAL_KEYS"


def _namespace(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not is_text(value):
        raise Misuse("--namespace is not text in UTF-8")
    return value


#: The command that checks the store alone. `flask sessions doctor` checks an application with it.
_DOCTOR = "holdfast.contrib.doctor.command:doctor_of_store"


@click.group(cls=Commands, commands={**COMMANDS, "doctor": _DOCTOR})
@click.version_option(__version__, message="holdfast %(version)s")
@click.option("--store", metavar="URL", envvar="HOLDFAST_STORE", help="SESSION_STORE. Default: $HOLDFAST_STORE.")
@click.option("--namespace", default="session:", show_default=True, callback=_namespace, help="SESSION_KEY_PREFIX.")
@click.option(
    "--owner-key", metavar="VARIABLE", help="The environment variable with SESSION_OWNER_KEY, if it has another name."
)
@click.option(
    "--seal-keys", metavar="VARIABLE", help="The environment variable with SESSION_SEAL_KEYS, if it has another name."
)
@click.pass_context
def main(
    context: click.Context, *, store: str | None, namespace: str, owner_key: str | None, seal_keys: str | None
) -> None:
    """List, end and maintain the sessions in a store, without the application.

    env:NAME in place of a URL reads it from the environment variable NAME, so that no process list shows a password.
    """
    url = None if store is None else url_from(store)

    @functools.cache
    def manager() -> Manager:
        if url is None:
            raise Misuse("no store: give --store URL before the command, or set HOLDFAST_STORE")
        secret = variable(owner_key) if owner_key else os.environ.get(_OWNER_KEY)
        with saying(_OWNER_KEY):
            keys = Keys(namespace, owner_secret=owner_secret(secret) if secret else None)
        ring = (variable(seal_keys) if seal_keys else os.environ.get(_SEAL_KEYS, "")).replace(",", " ").split()
        with saying(f"{_SEAL_KEYS} cannot be used:"):
            # It opens records that are sealed in any mode.
            sealer = Sealer("keys", ring, migrate_until=NEVER, namespace=namespace) if ring else None
        opened = open_store(url, root=Path.cwd())
        if isinstance(opened, Closes):
            context.call_on_close(opened.close)
        return Manager(
            opened,
            # The record has the expiry of a session; the application's own timeouts are unknown here.
            policy=Policy(idle=NEVER, absolute=NEVER),
            keys=keys,
            sealer=sealer,
            lists_unopened=True,
        )

    context.obj = Target(manager, Path.cwd(), url, named=True)
