"""The commands on sessions, for ``flask sessions`` and for ``python -m holdfast``.

They work over a `holdfast.manager.Manager` and know no framework but click. `COMMANDS` are all of them, and `main`
is the group for a store without an application.
"""

from __future__ import annotations

import click

from holdfast.cli.base import Commands, Place
from holdfast.cli.keeping import ddl, new_key

__all__ = ["COMMANDS", "Commands", "Place", "main"]

#: Every command, in the order of the documentation.
COMMANDS: tuple[click.Command, ...] = (ddl, new_key)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Tools for the sessions that Holdfast keeps."""


for _command in COMMANDS:
    main.add_command(_command)
