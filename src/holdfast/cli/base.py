"""What every command needs: the sessions at hand, a flag for JSON, and errors of one line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.sessions.manager import Manager
from holdfast.stores.contract import Store
from holdfast.stores.urls import open_store

_VARIABLE = "env:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command finds the sessions.

    Attributes:
        find_manager: Returns the manager, and raises `ConfigurationError` where there is none. Called when needed.
        root: The folder that relative paths in store URLs start from.
        name: What tells the store from others: its URL, or what stands for it.
    """

    find_manager: Callable[[], Manager]
    root: Path
    name: str

    @property
    def manager(self) -> Manager:
        """The manager of the sessions at hand."""
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
        """Return the store at *url*; ``env:NAME`` takes the URL from an environment variable, where nobody sees it."""
        return open_store(url_from(url), root=self.root)


def url_from(text: str) -> str:
    """Return the URL that *text* is, or that is in the environment variable it names."""
    if not text.startswith(_VARIABLE):
        return text
    name = text[len(_VARIABLE) :]
    url = os.environ.get(name)
    if not url:
        raise Misuse(f"the environment variable {name} is not set")
    return url


#: Gives a command its `Place` as the first argument.
pass_place = click.make_pass_decorator(Place)

#: Gives a command the argument *as_json*.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class OneLine(click.ClickException):
    """An error that is told in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Misuse(OneLine):
    """The command was called wrongly."""

    exit_code = 2


class Commands(click.Group):
    """A group whose commands tell every error in one line: exit code 1, or 2 when it was called wrongly."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of the group itself."""
        with _errors_in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _errors_in_one_line():
            return super().invoke(ctx)


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        raise Misuse(f"{error.format_message().rstrip('.')}{where}") from None
    except HoldfastError as error:
        raise OneLine(str(error)) from error
