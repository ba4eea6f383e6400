"""Commands that look after the place where sessions are kept: ``ddl`` and ``new-key``."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli.base import json_option
from holdfast.cli.output import say
from holdfast.errors import ConfigurationError
from holdfast.tokens import new_token
from holdfast.urls import open_store


@click.command()
@click.argument("url", metavar="URL")
def ddl(url: str) -> None:
    """Print the statements that make the table of the SQL store at URL.

    URL is what SESSION_STORE is set to, such as 'mysql+pymysql://user@host/name?table=sessions'. Nothing is connected
    to.
    """
    store = open_store(url, root=Path.cwd())
    statements = getattr(store, "ddl", None)
    if statements is None:
        raise ConfigurationError(f"a {type(store).__name__} makes what it needs: there are no statements to print")
    click.echo(statements())


@click.command("new-key")
@json_option
def new_key(*, as_json: bool) -> None:
    """Print 32 random bytes as base64url, for SESSION_SEAL_KEYS, SESSION_OWNER_KEY or SECRET_KEY."""
    key = new_token()
    say({"key": key}, key, as_json=as_json)
