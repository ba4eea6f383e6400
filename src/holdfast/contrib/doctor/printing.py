"""The report as text: a drawn table on a terminal if ``rich`` is installed, aligned text otherwise."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby

import click

from holdfast.cli.output import is_for_rich, printable
from holdfast.contrib.doctor.checks import STATUSES, Row, Status
from holdfast.contrib.doctor.report import Report

_WIDTH = 80
_INDENT = max(map(len, STATUSES)) + 2

#: The prefix of the line to change, or of the action to take.
_ARROW = "-> "

_COLOURS: dict[Status, str] = {"met": "green", "not met": "bold red", "manual": "yellow", "not applicable": "dim"}


def print_report(report: Report) -> None:
    """Print *report* as text."""
    if is_for_rich(sys.stdout):
        _draw(report)
        return
    for line in lines_of(report):
        click.echo(printable(line))


def lines_of(report: Report) -> Iterator[str]:
    """Yield the report in lines of at most 80 columns; a line to change may be longer, as it is not broken."""
    yield from (heading_of(report), "")
    for area, rows in groupby(report.rows, key=lambda row: row.area):
        yield area
        for row in rows:
            yield from _lines(row)
        yield ""
    yield summary_of(report)
    if report.advice:
        yield from textwrap.wrap(report.advice, _WIDTH)


def heading_of(report: Report) -> str:
    """Return the title of the report."""
    return f"Requirements of {report.title} for sessions ({report.profile})"


def summary_of(report: Report) -> str:
    """Return the number of rows with each status."""
    return ", ".join(f"{len(report.with_status(status))} {status}" for status in STATUSES)


def _lines(row: Row) -> Iterator[str]:
    # An id that contains a space is not broken.
    ids = _wrapped(", ".join(row.requirements).replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", "))
    texts = [*_wrapped(row.asks), *(line.replace("\N{NO-BREAK SPACE}", " ") for line in ids), *_wrapped(row.found)]
    if row.change:
        texts.extend(_wrapped(row.change, first=_ARROW) if " = " not in row.change else [_ARROW + row.change])
    for number, text in enumerate(texts):
        yield f"{'' if number else row.status:{_INDENT}}{text}"


def _wrapped(text: str, *, first: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH - _INDENT,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _draw(report: Report) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(heading_of(report), style="bold"))
    for area, rows in groupby(report.rows, key=lambda row: row.area):
        table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, leading=1)
        table.add_column(area, no_wrap=True, width=_INDENT - 2)
        table.add_column("Requirement", ratio=1, overflow="fold")
        table.add_column("Found, and the change to make", ratio=1, overflow="fold")
        for row in rows:
            asks = Text.assemble(row.asks, "\n", (", ".join(row.requirements), "dim"))
            found = Text.assemble(row.found, *(("\n", (row.change, "bold")) if row.change else ()))
            table.add_row(Text(row.status, style=_COLOURS[row.status]), asks, found)
        console.print(table)
    console.print(summary_of(report))
    if report.advice:
        console.print(Text(report.advice, style="bold"))
