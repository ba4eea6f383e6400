"""Write the table of commands into docs/reference/cli.md, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from holdfast.cli.standalone import main
from holdfast.flask.command_group import sessions

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
OPENING = "<!-- commands: written by scripts/write_commands.py -->"
CLOSING = "<!-- end of commands -->"


def commands(group: click.Group) -> dict[str, click.Command]:
    """Return the commands of *group* by their names."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def table() -> Iterator[str]:
    """Yield the lines of the table: each command, with its arguments and options, and its groups."""
    yield "| command | does | arguments and options | `flask sessions` | `python -m holdfast` |"
    yield "|---|---|---|---|---|"
    of_application, of_store = commands(sessions), commands(main)
    for name in sorted({*of_application, *of_store}):
        command = of_application.get(name) or of_store[name]
        parts = ", ".join(f"`{_shown(each)}`" for each in command.params)
        marks = " | ".join("yes" if name in group else "" for group in (of_application, of_store))
        yield f"| `{name}` | {(command.help or '').partition('.')[0]} | {parts} | {marks} |"


def _shown(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(click.Context(click.Command("")))
    return parameter.opts[-1]


def written(page: str) -> str:
    """Return *page* with its table up to date."""
    before, _, rest = page.partition(OPENING)
    content = "\n".join(table())
    return f"{before}{OPENING}\n\n{content}\n\n{CLOSING}{rest.partition(CLOSING)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
