"""``flask sessions``: the commands of `holdfast.cli` on the sessions of an application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from flask import current_app
from flask.cli import with_appcontext

from holdfast.cli import COMMANDS, Commands, Place
from holdfast.contrib.doctor.command import doctor

if TYPE_CHECKING:
    from holdfast.sessions.manager import Manager


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
@with_appcontext
def sessions(context: click.Context) -> None:
    """Look at, end and keep the application's sessions."""
    # Every command runs inside the application's context.
    store = current_app.config.get("SESSION_STORE")
    name = store if isinstance(store, str) else f"the store of {current_app.name}"
    context.obj = Place(_manager, Path(current_app.instance_path), name)


for _command in (*COMMANDS, doctor):
    sessions.add_command(_command)


def _manager() -> Manager:
    return cast("Manager", current_app.extensions["holdfast"].manager)
