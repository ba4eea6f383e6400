"""The output of commands: JSON, or text. ``rich`` draws tables and progress if it is installed."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from typing import Any, TextIO, TypeVar

import click

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_GAP = "  "
_WORKERS = 4

T = TypeVar("T")


def say(data: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print *data* as JSON, or *text*."""
    click.echo(json.dumps(data, indent=2) if as_json else text)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *headings*: aligned text, or a drawn table on a terminal."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if is_for_rich(sys.stdout):
        _draw(headings, rows)
        return
    click.echo(_aligned([headings, *rows]))


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return one line for each of *pairs*, aligned."""
    return _aligned([(printable(name), printable(value)) for name, value in pairs])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows)


def moment(milliseconds: int | None) -> str:
    """Return a time, in milliseconds since the epoch, as a date and a time of day in UTC."""
    if milliseconds is None:
        return "not known"
    try:
        return f"{_EPOCH + timedelta(milliseconds=milliseconds):%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        return "never"


def printable(text: str) -> str:
    """Return *text* with a replacement character for each character that would move the cursor or end the line.

    A browser chooses its name, a user a label, and a client with write access to the store a key or an owner.
    """
    return "".join(character if character.isprintable() else "�" for character in text)


def counted(number: int, noun: str) -> str:
    """Return text such as ``1 session`` or ``1,000 sessions``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@contextlib.contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows on a terminal how many are done, of *total* if known. Elsewhere nothing is shown."""
    if not is_for_rich(sys.stderr):
        yield lambda done: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    of_total = "" if total is None else f" of {total:,}"
    columns = (SpinnerColumn(), TextColumn(f"{title} {{task.completed:,}}{of_total}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(title, total=None)
        yield lambda done: drawn.update(task, completed=done)


def count_results(
    title: str, work: Callable[[T], str], batches: Iterable[Iterable[T]], total: int | None = None
) -> Counter[str]:
    """Return how often each result of *work* on an item of *batches* came, with the progress under *title* meanwhile.

    After an interruption it says how far it got.
    """
    from concurrent.futures import ThreadPoolExecutor  # most commands need none

    found = Counter[str]()
    with ThreadPoolExecutor(_WORKERS) as pool, progress(title, total) as advance:
        try:
            for batch in batches:
                found.update(pool.map(work, batch))
                advance(found.total())
        except KeyboardInterrupt:
            of_total = "" if total is None else f" of {total:,}"
            click.echo(f"{found.total():,}{of_total} are done: run the same command again.", err=True)
            raise
    return found


def is_for_rich(stream: TextIO | None) -> bool:
    """Return whether *stream* is a terminal, and ``rich`` is installed."""
    return is_terminal(stream) and find_spec("rich") is not None


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether *stream* is a terminal; None is one that was closed before the start."""
    return stream is not None and stream.isatty()


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)
