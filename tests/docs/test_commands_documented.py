"""The commands of the docs that no other test runs are commands that there are, with options that they take."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from flask import Flask
from support.accounted import COMMANDS
from support.pages import Block, blocks

from holdfast.cli.standalone import main
from holdfast.flask import Session
from holdfast.stores.dynamodb.items import KEYS, REMOVE_AT, SCHEMA
from holdfast.stores.mongodb import store as mongodb

ROOT = Path(__file__).resolve().parents[2]
#: The beginnings of blocks that a test of their own runs.
RUN_ELSEWHERE = {"> ACL SETUSER ": "stores/test_probe.py", "$ redis-cli ": "stores/test_redis_clients.py"}


def commands(block: Block) -> list[list[str]]:
    """Return the words of each command of *block*: with a prompt in a transcript, and all lines otherwise."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [shlex.split(re.sub(r"^\w+='.*?' ", "", line)) for line in lines]


def parsed(command: click.Command, arguments: list[str]) -> None:
    """Check that *command* takes *arguments*, down to the last command that they name; nothing is run."""
    context = command.make_context(command.name, list(arguments))
    while isinstance(context.command, click.Group):
        _, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, arguments
        context = found.make_context(found.name, rest, parent=context)


def flask(words: list[str], folder: Path) -> None:
    """``flask sessions`` has the command and its options."""
    app = Flask("shop", instance_path=str(folder))
    Session(app)
    parsed(app.cli, words[1:])


def python(words: list[str], _: Path) -> None:
    """``python -m holdfast`` has the command and its options; another program runs."""
    if words[1] == "-m":
        assert words[2] == "holdfast"
        parsed(main, words[3:])
    else:
        printed = subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True, text=True).stdout
        assert json.loads(printed)["panels"]


def pip(words: list[str], _: Path) -> None:
    """Holdfast has the extra."""
    extras = re.search(r"\[(.*)\]", words[2])
    assert words[1] == "install"
    assert extras is None or f"\n{extras[1]} = [" in (ROOT / "pyproject.toml").read_text("utf-8")


def make(words: list[str], _: Path) -> None:
    """The Makefile has the target, and each file of the arguments is there."""
    assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text("utf-8")
    assert all((ROOT / name).exists() for name in re.findall(r"tests/[\w/.]+", " ".join(words[2:])))


def aws(words: list[str], _: Path) -> None:
    """The table is the one that the store makes."""
    options = dict(re.findall(r"--([\w-]+) ((?:[^-]\S*\s?)+)", " ".join(words)))
    shown = {name: [dict(pair.split("=") for pair in part.split(",")) for part in value.split()]
             for name, value in options.items() if "=" in value}  # fmt: skip
    assert shown in (
        {"attribute-definitions": KEYS, "key-schema": SCHEMA},
        {"time-to-live-specification": [{"Enabled": "true", "AttributeName": REMOVE_AT}]},
    )


PROGRAMS: dict[str, Callable[[list[str], Path], None]] = {
    "flask": flask,
    "python": python,
    "pip": pip,
    "make": make,
    "aws": aws,
}


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_the_commands_are_there(block: Block, tmp_path: Path) -> None:
    """Each command of the block is one that Holdfast, its Makefile or its store has."""
    others = [test for beginning, test in RUN_ELSEWHERE.items() if block.text.startswith(beginning)]
    for test in others:
        assert Path(block.page).name in (ROOT / "tests" / test).read_text("utf-8")
    found = [] if others else commands(block)
    assert found or others
    for words in found:
        PROGRAMS[words[0]](words, tmp_path)


def test_the_indexes_of_the_page_are_those_of_the_store() -> None:
    """The page on MongoDB makes the indexes that the store would make."""
    [script] = blocks("docs/reference/backends/mongodb.md", "javascript")
    made = re.findall(r"^db\.sessions\.createIndex\(\{(\w+): 1\}, \{(\w+): (\w+)\}\)$", script, re.MULTILINE)
    assert {name: {option: json.loads(value)} for name, option, value in made} == mongodb._INDEXES
