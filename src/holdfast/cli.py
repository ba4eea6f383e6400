"""The command line: ``python -m holdfast``."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.errors import ConfigurationError
from holdfast.urls import open_store


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Tools for the sessions that Holdfast keeps."""


@main.command()
@click.argument("url", metavar="URL")
def ddl(url: str) -> None:
    """Print the statements that make the table of the SQL store at URL.

    URL is what SESSION_STORE is set to, such as 'mysql+pymysql://user@host/name?table=sessions'. Nothing is connected
    to.
    """
    try:
        store = open_store(url, root=Path.cwd())
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    statements = getattr(store, "ddl", None)
    if statements is None:
        raise click.ClickException(f"a {type(store).__name__} makes what it needs: there are no statements to print")
    click.echo(statements())
