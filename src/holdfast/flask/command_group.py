"""The group ``flask sessions``: the commands of `holdfast.cli` on the sessions of an application."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from holdfast.cli import COMMANDS
from holdfast.cli.errors import in_one_line
from holdfast.cli.group import Commands
from holdfast.cli.maintenance import purge
from holdfast.cli.target import Target
from holdfast.flask.interface import HoldfastInterface

#: The commands that need an application.
_OF_APPLICATIONS = {
    "import": "holdfast.cli.importing:import_",
    "doctor": "holdfast.contrib.doctor.command:doctor",
}


@click.group(cls=Commands, commands={**COMMANDS, **_OF_APPLICATIONS})
@click.pass_context
@with_appcontext
def sessions(context: click.Context) -> None:
    """List, end and maintain the application's sessions."""
    # Every command runs inside the application's context.
    context.obj = _target()


@click.command()
@click.pass_context
@with_appcontext
def session_cleanup(context: click.Context) -> None:
    """Remove expired sessions. Deprecated, Flask-Session's: use `flask sessions purge`."""
    click.echo("session_cleanup is Flask-Session's command: use `flask sessions purge`", err=True)
    context.obj = _target()
    with in_one_line(context):
        context.invoke(purge, as_json=False)


def _target() -> Target:
    interface = current_app.session_interface
    store = interface.live.current.store if isinstance(interface, HoldfastInterface) else None
    url = store if isinstance(store, str) else None
    return Target(lambda: current_app.extensions["holdfast"].manager, Path(current_app.instance_path), url)
