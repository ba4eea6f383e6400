"""The subjects of the security tests, all together: by advisory, by requirement, and as tables for the docs."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from security.rows import Row, rows_of

_TESTS = Path(__file__).parents[1]

#: The folders whose tests are marked.
_FOLDERS = ("bad_input", "security")


@dataclass(frozen=True)
class Tested:
    """One row with the test that it is on.

    Attributes:
        row: The subject of the test.
        file: The file of the test, such as ``security/test_fixation.py``.
        test: The name of the test.
        holds: The behaviour that the test checks, in one sentence: the first line of its docstring.
    """

    row: Row
    file: str
    test: str
    holds: str

    @property
    def link(self) -> str:
        """The test as a Markdown link from a page in a folder of ``docs``."""
        return f"[`{self.test}`](../../tests/{self.file})"


def catalogue() -> list[Tested]:
    """Return every row of every security test, in no particular order."""
    return [
        Tested(row, f"{folder}/{path.name}", name, (inspect.getdoc(test) or "").partition("\n")[0])
        for folder in _FOLDERS
        for path in sorted((_TESTS / folder).glob("test_*.py"))
        for name, test in _tests(importlib.import_module(f"{folder}.{path.stem}"))
        for row in rows_of(test)
    ]


def _tests(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield from ((name, value) for name, value in vars(module).items() if name.startswith("test_") and callable(value))


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key to sort ids by: numbers in them count as numbers."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", text)]


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def filled(page: str, part: str, content: str) -> str:
    """Return *page* with *content* between the comments ``<!-- part: … -->`` and ``<!-- end of part -->``."""
    opening, closing = re.findall(rf"<!-- (?:{part}:|end of {part}) ?[^\n]*-->\n?", page)
    before, _, rest = page.partition(opening)
    return f"{before}{opening}\n{content}\n\n{closing}{rest.partition(closing)[2]}"
