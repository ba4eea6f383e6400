"""``flask sessions``, imported when it is run: a web worker loads no command."""

from __future__ import annotations

import pkgutil
from typing import Any

import click
from flask import Flask

from holdfast.errors import ConfigurationError
from holdfast.flask.settings.setting import warn

_GROUP = "holdfast.flask.command_group:sessions"
_CLEANUP = "holdfast.flask.command_group:session_cleanup"


class SetUpWrong(ConfigurationError, click.ClickException):
    """A wrong setting, which every ``flask`` command that loads the application reports in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        click.ClickException.__init__(self, message)


class _Imported(click.Command):
    """Represents a command that is imported when it is run."""

    def __init__(self, name: str, source: str, *, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._source = source

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of the command itself, which click runs then."""
        command: click.Command = pkgutil.resolve_name(self._source)
        return command.make_context(info_name, args, parent, **extra)


def add_commands(app: Flask) -> None:
    """Add ``flask sessions`` to *app*; ``flask holdfast-sessions`` if it has a command "sessions" of its own."""
    name = "sessions"
    if not isinstance(app.cli.commands.get(name), _Imported | None):
        name = "holdfast-sessions"
        warn(f"the application has a command 'sessions' of its own: Holdfast's commands are `flask {name}`")
    app.cli.add_command(_Imported(name, _GROUP, short_help="List, end and maintain the application's sessions."))
    if app.config.get("SESSION_TYPE") is not None and "session_cleanup" not in app.cli.commands:
        app.cli.add_command(_Imported("session_cleanup", _CLEANUP, short_help="Use `flask sessions purge`."))
