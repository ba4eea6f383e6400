"""The code blocks of the README and the docs, so that tests can run them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of *page*, a path from the root of the project: its place among those, and what is in it."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.removeprefix('docs/')}-{self.number}"


def every_block() -> list[Block]:
    """Return the code blocks of the README and of all pages, without indentation."""
    pages = [_ROOT / "README.md", *sorted(_ROOT.glob("docs/**/*.md"))]
    return [
        Block(str(page.relative_to(_ROOT)), number, match[2], textwrap.dedent(match[3]))
        for page in pages
        for number, match in enumerate(_FENCE.finditer(page.read_text("utf-8")))
    ]


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of *page*, a path from the root of the project, in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```", (_ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    """Return the text of *page*, a path from the root of the project."""
    return (_ROOT / page).read_text("utf-8")


def table(page: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table of *page* with the column *heading*, each a cell by its column."""
    lines = text_of(page).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("|") and heading in _cells(line))
    columns, rows = _cells(lines[start]), []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(columns, _cells(line), strict=True)))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
