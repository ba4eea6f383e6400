"""``flask sessions``, which is imported when it is run: a web worker loads no command."""

from __future__ import annotations

import pkgutil
from typing import Any

import click


class _Imported(click.Command):
    """Stands for a command that is imported when it is run."""

    def __init__(self, name: str, source: str, *, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._source = source

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of the command itself, which click runs then."""
        command: click.Command = pkgutil.resolve_name(self._source)
        return command.make_context(info_name, args, parent, **extra)


sessions = _Imported(
    "sessions",
    "holdfast.flask.command_group:sessions",
    short_help="List, end and maintain the application's sessions.",
)
