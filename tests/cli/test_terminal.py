"""The output of commands on a terminal, with rich and without."""

from __future__ import annotations

import os
import pty
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.terminal import FIREFOX, Shelf

_WITHOUT_RICH = "import sys; sys.modules['rich'] = None; from holdfast.cli.standalone import main; main()"


def on_a_terminal(arguments: list[str], *, columns: int = 200) -> str:
    """Return what Python with *arguments* writes on a terminal that is *columns* wide."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, *arguments], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # Linux ends a terminal with an error
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0, written
    return written.decode()


def test_a_table_is_drawn_on_a_terminal(shelf: Shelf) -> None:
    """With rich, a list on a terminal is a table; on a narrow one no handle is cut short."""
    handle = shelf.sign_in("ada")
    text = on_a_terminal(["-m", "holdfast", "--store", shelf.url, "list"])
    assert handle in text
    assert "─" in text
    narrow = on_a_terminal(["-m", "holdfast", "--store", shelf.url, "list"], columns=80)
    column = [line.split()[0] for line in narrow.splitlines() if re.match(r" +[0-9a-f]+ ", line)]
    assert "".join(column).startswith(handle[: len(column[0])])
    assert "…" not in narrow


def test_nothing_that_is_stored_writes_on_the_terminal(shelf: Shelf) -> None:
    """Escape sequences in keys, owners, labels and devices are not written to a terminal, with rich or without."""
    handle = shelf.sign_in("ada", agent="Mozilla/5.0 \x1b[31m Firefox/1")
    with sqlite3.connect(shelf.url.removeprefix("sqlite:///")) as database:
        row = database.execute("SELECT * FROM sessions").fetchone()
        evil = ("\x1b]0;owned\x07\x9b2J" + row[0].hex()[10:], *row[1:4], "\x1b[2Jadmin", row[5])
        database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", evil)
    database.close()
    for before in (["-c", _WITHOUT_RICH], ["-m", "holdfast"]):
        for command in (["list"], ["list", "--limit", "1"], ["stats"], ["show", handle]):
            text = on_a_terminal([*before, "--store", shelf.url, *command])
            assert not {"\x07", "\x9b"} & set(text)
            assert "\x1b]" not in text
            assert "\x1b[2J" not in text


def test_without_rich_a_terminal_gets_plain_text(shelf: Shelf) -> None:
    """Without rich, tables are aligned text without progress."""
    handle = shelf.sign_in("ada")
    text = on_a_terminal(["-c", _WITHOUT_RICH, "--store", shelf.url, "list"])
    assert text.splitlines()[1].startswith(f"{handle}  ")
    assert "\x1b" not in text + on_a_terminal(["-c", _WITHOUT_RICH, "--store", shelf.url, "stats"])


def test_a_copy_shows_its_progress_on_a_terminal(shelf: Shelf, tmp_path: Path) -> None:
    """With rich, a bar counts the records, and the line about the copy stays whole."""
    shelf.visit()
    text = on_a_terminal(["-m", "holdfast", "--store", shelf.url, "copy", f"sqlite:///{tmp_path}/to.db"])
    assert "\x1b" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
    assert "Copied 1 record; 0 were there already." in plain


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["stats", "--json"], ["doctor"], ["--help"], ["list", "--help"]],
    ids=" ".join,
)
def test_an_output_without_room_is_one_line(shelf: Shelf, arguments: list[str]) -> None:
    """On a full disk each command fails with the system's reason, and without a traceback."""
    shelf.sign_in("ada")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(shelf, arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["list >&-", "doctor >&-", "stats 2>&-", "revoke --all <&-"])
def test_a_stream_that_is_closed(shelf: Shelf, command: str) -> None:
    """A job without standard input, output or errors works as with one, and is asked nothing."""
    shelf.sign_in("ada")
    line = f'exec "$0" -m holdfast --store "$1" {command}'
    shell = ["sh", "-c", line, sys.executable, shelf.url]
    done = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "--all" in command else 0)
    assert "Traceback" not in done.stderr


def test_an_output_that_lacks_characters(shelf: Shelf) -> None:
    """What the encoding of the output lacks is written as its escape."""

    def visit(session: Any) -> None:
        session["seen"], session.label = 1, "办公室"

    handle = shelf._begin(visit, FIREFOX)
    done = run(shelf, ["show", handle], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert "\\u529e" in done.stdout, done


def run(shelf: Shelf, arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command on *shelf* in a process of its own."""
    command = [sys.executable, "-m", "holdfast", "--store", shelf.url, *arguments]
    return subprocess.run(command, check=False, text=True, **options)
