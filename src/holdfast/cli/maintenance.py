"""Commands that maintain the store: ``init``, ``ddl``, ``purge`` and ``new-key``."""

from __future__ import annotations

import click

from holdfast.cli.output import counted, say
from holdfast.cli.target import Target, json_option, missing_in, with_target
from holdfast.errors import ConfigurationError
from holdfast.records.encryption import new_key as fresh_key
from holdfast.stores.contract import Prepares, Purges
from holdfast.stores.probe import probe


@click.command()
@with_target
def init(target: Target, *, as_json: bool) -> None:
    """Create the table, the indexes or the files that the store needs, if they are missing, and try the store.

    The first request would create them, too. Run this if the application's database user lacks the permission. A
    throw-away record is created, read, replaced, moved and deleted, so a missing permission shows.

    After a backup was restored, set SESSION_NOT_BEFORE too: it ends the sessions that came back with it.
    """
    store = target.store
    kind = type(store).__name__
    if isinstance(store, Prepares):
        store.prepare()
    probe(store, target.find_manager().clock)  # the first use creates missing parts
    say({"store": kind, "ready": True}, f"{kind} is ready.", as_json=as_json)


@click.command()
@click.argument("url", metavar="[URL]", required=False)
@with_target
def ddl(target: Target, *, url: str | None, as_json: bool) -> None:
    """Print the statements that create the table of an SQL store.

    URL is the value of SESSION_STORE, such as 'mysql+pymysql://user@host/name?table=sessions'. No connection is made.
    """
    store = target.store_at(url) if url is not None else target.store
    statements = getattr(store, "ddl", None)
    if statements is None:
        raise ConfigurationError(f"a {type(store).__name__} makes what it needs: there are no statements to print")
    text: str = statements()
    say({"ddl": text}, text, as_json=as_json)


@click.command()
@with_target
def purge(target: Target, *, as_json: bool) -> None:
    """Remove expired records now.

    Some stores remove them by themselves; for the others the application removes some whenever it creates new sessions.
    Live sessions are not touched.
    """
    store = target.store
    kind = type(store).__name__
    missing = None if target.named else missing_in(store)
    removed = 0
    if missing is not None:
        text = f"There is no {missing} yet: no session was stored."
    elif isinstance(store, Purges):
        removed = target.directory.purge()
        text = f"Removed {counted(removed, 'expired record')}."
    else:
        text = f"{kind} removes expired records by itself: there is nothing to do."
    say({"store": kind, "removed": removed}, text, as_json=as_json)


@click.command("new-key")
@json_option
def new_key(*, as_json: bool) -> None:
    """Print 32 random bytes as base64url, for SESSION_SEAL_KEYS, SESSION_OWNER_KEY or SECRET_KEY."""
    key = fresh_key()
    say({"key": key}, key, as_json=as_json)
