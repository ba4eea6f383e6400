"""The sessions that a command works on, and the options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from holdfast.cli.errors import Misuse
from holdfast.errors import ConfigurationError
from holdfast.records.tokens import is_user_id
from holdfast.sessions.ends import Ends
from holdfast.sessions.manager import Manager, directory
from holdfast.sessions.requests import Requests
from holdfast.stores.contract import Needs, Store
from holdfast.stores.registry import open_store

#: A span, in milliseconds, that no session reaches, in place of limits that only the application knows.
NEVER = 2**50

_VARIABLE = "env:"


@dataclass(frozen=True, slots=True)
class Target:
    """The sessions, or the store, of a command.

    Attributes:
        find_manager: Returns the manager, and raises `ConfigurationError` if there is none. Called on first use.
        root: The base folder of relative paths in store URLs.
        url: The store's URL; None if the application has none.
        named: It was given to the command, and may be mistyped.
    """

    find_manager: Callable[[], Requests]
    root: Path
    url: str | None
    named: bool = False

    @property
    def manager(self) -> Requests:
        """The manager of the sessions, whose store must exist already."""
        manager = self.find_manager()
        refuse_missing(getattr(manager, "store", None))
        return manager

    @property
    def directory(self) -> Manager:
        """The manager, which must be able to list sessions."""
        return directory(self.manager)

    @property
    def store(self) -> Store:
        """The store of the sessions, which may not exist yet; an error if they are in the browsers' cookies."""
        manager = self.find_manager()
        if not isinstance(manager, Ends):
            raise ConfigurationError("the sessions are in the browsers' cookies: there is no store")
        return manager.store

    def store_at(self, url: str) -> Store:
        """Return the store at *url*."""
        return open_store(url, root=self.root)


def missing_in(store: object) -> str | None:
    """Return the file, table or collection of *store* that does not exist, or None."""
    return store.missing() if isinstance(store, Needs) else None


def refuse_missing(store: object) -> None:
    """Refuse a store whose file, table or collection does not exist: reading creates none."""
    missing = missing_in(store)
    if missing is not None:
        raise ConfigurationError(f"there is no {missing}: correct the URL of the store, or create it with `init`")


def url_from(text: str) -> str:
    """Return *text* as a URL, or the URL in the environment variable it names, as ``env:NAME``."""
    return variable(text.removeprefix(_VARIABLE)) if text.startswith(_VARIABLE) else text


def variable(name: str) -> str:
    """Return the value of the environment variable *name*, which must be set."""
    value = os.environ.get(name)
    if not value:
        raise Misuse(f"the environment variable {name} is not set")
    return value


def user_option(purpose: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option --user, which refuses what cannot be the id of a user. *purpose* is its help text."""
    return click.option("--user", metavar="ID", callback=_user_id, help=purpose)


def _user_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_user_id(value):
        raise Misuse("--user is empty: give the id of a user")
    return value


#: Adds the option --json to a command, as the argument *as_json*.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Pass *command* its `Target` as the first argument, and give it the option --json."""
    return json_option(click.make_pass_decorator(Target)(command))
