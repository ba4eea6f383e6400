"""The commands of docs/reference/cli.md print what the page shows."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.web import Web

from holdfast.cli import COMMANDS
from holdfast.cli.standalone import main
from holdfast.clock import system_clock
from holdfast.flask import session
from holdfast.sessions.manager import directory
from holdfast.stores.contract import Closes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"

_AGENTS = {
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "iphone": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1",
    "chrome": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
    "Safari/537.36",
}
_HANDLE = re.compile(r"\b[0-9a-f]{64}\b")
# Random, or of the moment: owner values by their beginnings, times, seconds, keys, and sizes that follow from those.
_MASKED = [
    (_HANDLE, "<handle>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<user>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"\b\d{13}\b"), "<milliseconds>"),
    (re.compile(r"\b\d+\.\d+ s\b"), "<seconds>"),
    (re.compile(r'("seconds"): [\d.]+'), r"\1: <seconds>"),
    (re.compile(r"^[\w-]{43}$"), "<key>"),
    (re.compile(r'(?<=[ "])[\w-]{22}(?="?$)'), "<sid>"),
]


def masked(line: str) -> str:
    """Return *line* without what differs from one run to another."""
    for pattern, mask in _MASKED:
        line = pattern.sub(mask, line)
    return line


class Stage:
    """The shop of the page: four sessions of two users and a visitor, and its store without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/sessions.db"
        self.web = Web(SESSION_STORE=self.url)
        # The application's clock ends up where the system's is, which the commands without it go by.
        self.web.clock.advance_ms(system_clock() - self.web.clock() - 60_000)
        for user, agent in (("ada", "firefox"), ("ada", "iphone"), ("bob", "chrome"), (None, "firefox")):
            self._visit(user, _AGENTS[agent])
            self.web.clock.advance(15)
        self._handles: dict[str, str] = {}

    def close(self) -> None:
        """Close the store."""
        store = directory(self.web.sessions.manager).store
        assert isinstance(store, Closes)
        store.close()

    def _visit(self, user: str | None, agent: str) -> None:
        def view() -> None:
            if user is not None:
                session.bind(user)
            session["basket"] = ["pen"]

        self.web.do(view, self.web.app.test_client(), headers={"User-Agent": agent})

    def play(self, line: str, shown: list[str]) -> list[str]:
        """Run the command *line* with the handles of today, and return what it printed."""
        for old, new in self._handles.items():
            line = line.replace(old, new)
        line = line.replace("sqlite:////srv/shop/sessions.db", self.url)
        line = line.replace("redis://cache.example.org/0", f"sqlite:///{self.folder}/to.db")
        words = shlex.split(line)
        if words[:2] == ["flask", "sessions"]:
            done = self.web.app.test_cli_runner().invoke(args=words[1:])
        else:
            assert words[:3] == ["python", "-m", "holdfast"], line
            done = CliRunner().invoke(main, words[3:], prog_name="python -m holdfast")
        printed = [text.rstrip() for text in done.output.splitlines()]
        self._learn(shown, printed)
        return printed

    def _learn(self, shown: list[str], printed: list[str]) -> None:
        for text in shown:
            for other in printed:
                if masked(text) == masked(other):
                    self._handles.update(zip(_HANDLE.findall(text), _HANDLE.findall(other), strict=True))


def sections() -> list[str]:
    """Return the parts of the page. Each begins with the same sessions."""
    return re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a part of the page, with the lines that the page shows after it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *shown = part.rstrip().split("\n")
            yield line, [text.rstrip() for text in shown]


def test_the_page_shows_what_the_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page, run in the order of the page, prints what the page shows but for ids and times."""
    for number, section in enumerate(sections()):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        with closing(Stage(folder)) as stage:
            for line, shown in commands(section):
                printed = stage.play(line, shown)
                # A store is walked by keys, which are random.
                assert Counter(map(masked, printed)) == Counter(map(masked, shown)), line


def test_every_command_is_on_the_page() -> None:
    """The page shows each command at work, and names every option."""
    text = PAGE.read_text("utf-8")
    lines = [line for line, _ in commands(text)]
    assert [name for name in COMMANDS if not any(f" {name}" in line for line in lines)] == []
    group = [main, *(main.get_command(click.Context(main), name) for name in COMMANDS)]
    options = {option for command in group if command for one in command.params for option in one.opts}
    assert [option for option in sorted(options) if option.startswith("--") and f"`{option}" not in text] == []
