"""A terminal for the commands, and sessions for them to work on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click
from click.testing import CliRunner, Result
from support.web import Web

from holdfast.cli.standalone import main
from holdfast.flask import session

#: A browser that says what it is.
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class Terminal:
    """Runs commands on the store at *url*, without an application. *options* are those of the group."""

    def __init__(self, url: str | None, *options: str) -> None:
        self.url = url
        self.options = options

    def run(self, *arguments: str, **environment: str | None) -> Result:
        """Return what ``python -m holdfast`` with *arguments* does."""
        before = [] if self.url is None else ["--store", self.url]
        return _run(main, [*before, *self.options, *arguments], environment)

    def read(self, *arguments: str, **environment: str | None) -> str:
        """Return what a command prints that must work."""
        done = self.run(*arguments, **environment)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return done.stdout

    def data(self, *arguments: str, **environment: str | None) -> Any:
        """Return what a command prints with ``--json``."""
        return json.loads(self.read(*arguments, "--json", **environment))

    def error(self, *arguments: str, code: int = 1, **environment: str | None) -> str:
        """Return the one line that a command says when it fails with *code*."""
        done = self.run(*arguments, **environment)
        assert (done.exit_code, done.stdout) == (code, ""), done.output
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("Error: ")
        return done.stderr.removeprefix("Error: ").rstrip("\n")


class AppTerminal(Terminal):
    """Runs ``flask sessions`` on *web*'s application."""

    def __init__(self, web: Web) -> None:
        super().__init__(None)
        self.web = web

    def run(self, *arguments: str, **environment: str | None) -> Result:
        """Return what ``flask sessions`` with *arguments* does."""
        return self.web.app.test_cli_runner().invoke(args=["sessions", *arguments], env=environment)


def _run(command: click.Command, arguments: list[str], environment: dict[str, str | None]) -> Result:
    clean: dict[str, str | None] = {"HOLDFAST_STORE": None, "SESSION_OWNER_KEY": None, "SESSION_SEAL_KEYS": None}
    return CliRunner().invoke(command, arguments, prog_name="python -m holdfast", env={**clean, **environment})


@dataclass(slots=True)
class Shelf:
    """A store with sessions of an application in it, and both ways to run commands on them.

    Attributes:
        web: The application, on the system's clock.
        app: ``flask sessions``.
        store: ``python -m holdfast`` on the same store.
        url: The store's URL.
    """

    web: Web
    app: AppTerminal
    store: Terminal
    url: str

    def with_settings(self, **config: Any) -> Shelf:
        """Return the same store with another application, which has these settings."""
        store = self.web.memory
        web = Web(lambda clock: store, **config)
        web.clock.advance_ms(self.web.clock() - web.clock())
        return Shelf(web, AppTerminal(web), self.store, self.url)

    def sign_in(self, user: str, agent: str = FIREFOX) -> str:
        """Bind a new session to *user*, and return its handle."""
        return self._begin(lambda session: session.bind(user), agent)

    def visit(self) -> str:
        """Begin a session without a user, and return its handle."""
        return self._begin(lambda session: session.update(seen=1), FIREFOX)

    def _begin(self, action: Any, agent: str) -> str:
        browser = self.web.app.test_client()
        self.web.do(lambda: action(session), browser, headers={"User-Agent": agent})
        handle: str = self.web.see(lambda: session.handle, browser)
        return handle
