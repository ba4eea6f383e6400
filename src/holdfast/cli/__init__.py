"""The commands on sessions, for ``flask sessions`` and for ``python -m holdfast``.

They work over a `holdfast.sessions.manager.Manager` and know no framework but click. `COMMANDS` are all of them, and
`main` is the group for a store without an application.
"""

from __future__ import annotations

import click

from holdfast.cli.base import Commands, Place
from holdfast.cli.copying import copy
from holdfast.cli.inspection import list_, show, stats
from holdfast.cli.maintenance import ddl, init, new_key, purge
from holdfast.cli.revocation import revoke
from holdfast.cli.standalone import outside_place

__all__ = ["COMMANDS", "Commands", "Place", "main"]

#: Every command, in the order of the documentation.
COMMANDS: tuple[click.Command, ...] = (list_, show, revoke, stats, purge, init, ddl, copy, new_key)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--store", metavar="URL", envvar="HOLDFAST_STORE", help="SESSION_STORE. Default: $HOLDFAST_STORE.")
@click.option("--namespace", default="session:", show_default=True, help="SESSION_KEY_PREFIX.")
@click.option("--owner-key", metavar="VARIABLE", help="Where SESSION_OWNER_KEY is in the environment, if not there.")
@click.option("--seal-keys", metavar="VARIABLE", help="Where SESSION_SEAL_KEYS are in the environment, if not there.")
@click.pass_context
def main(
    context: click.Context, *, store: str | None, namespace: str, owner_key: str | None, seal_keys: str | None
) -> None:
    """Look at, end and keep the sessions in a store, without the application.

    Wherever a URL is asked for, env:NAME takes it from the environment variable NAME, so that no list of processes
    shows a password.
    """
    context.obj = outside_place(context, store=store, namespace=namespace, owner_key=owner_key, seal_keys=seal_keys)


for _command in COMMANDS:
    main.add_command(_command)
