"""The group of commands: each is imported when it is run, and every error is reported in one line."""

from __future__ import annotations

import io
import pkgutil
import sys
from collections.abc import Mapping
from typing import Any

import click

from holdfast.cli.errors import in_one_line


class Commands(click.Group):
    """A group of commands that are imported when they are run or listed.

    An error is one line on standard error; the exit code is 1, or 2 for a usage error. *commands* are the module and
    the name of each, as in `holdfast.cli.COMMANDS`, and *settings* the arguments of `click.Group`.
    """

    def __init__(self, *, commands: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings, context_settings={"help_option_names": ["-h", "--help"]})
        self._sources = commands

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the documentation."""
        return list(self._sources)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called *cmd_name*, or None."""
        source = self._sources.get(cmd_name)
        if source is None:
            return None
        command: click.Command = pkgutil.resolve_name(source)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of the group itself."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # such as a label that its encoding lacks
        with in_one_line(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with in_one_line(ctx):
            return super().invoke(ctx)
