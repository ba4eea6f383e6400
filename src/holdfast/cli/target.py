"""The sessions that a command works on, and the options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.errors import Misuse
from holdfast.errors import ConfigurationError
from holdfast.stores.registry import open_store

if TYPE_CHECKING:
    from holdfast.sessions.manager import Manager
    from holdfast.stores.contract import Store

#: A span, in milliseconds, that no session reaches: stands for limits that only the application knows.
NEVER = 2**50

_VARIABLE = "env:"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a command finds the sessions.

    Attributes:
        find_manager: Returns the manager, and raises `ConfigurationError` where there is none. Called when needed.
        root: The folder that relative paths in store URLs start from.
        url: The store's URL; None where the application has none.
    """

    find_manager: Callable[[], Manager]
    root: Path
    url: str | None

    @property
    def manager(self) -> Manager:
        """The manager of the sessions."""
        return self.find_manager()

    @property
    def store(self) -> Store:
        """The store that the sessions are in.

        Raises:
            ConfigurationError: There is none: they are in the browsers' cookies.
        """
        manager = self.manager
        if not getattr(manager, "revokes", True):
            raise ConfigurationError("the sessions are in the browsers' cookies: there is no store")
        return manager.store

    def store_at(self, url: str) -> Store:
        """Return the store at *url*."""
        return open_store(url, root=self.root)


def url_from(text: str) -> str:
    """Return the URL that *text* is, or that is in the environment variable it names, as ``env:NAME``."""
    if not text.startswith(_VARIABLE):
        return text
    name = text[len(_VARIABLE) :]
    url = os.environ.get(name)
    if not url:
        raise Misuse(f"the environment variable {name} is not set")
    return url


#: Gives a command its `Target` as the first argument.
pass_target = click.make_pass_decorator(Target)

#: Gives a command the argument *as_json*.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
