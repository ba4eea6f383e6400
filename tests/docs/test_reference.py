"""The reference: its tables are of today, and the check of docstrings finds what they lack."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from support.pages import table, text_of

from holdfast.errors import StoreUnavailable
from holdfast.records import envelope

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def test_the_table_of_commands_is_of_today() -> None:
    """The page is what scripts/write_commands.py writes."""
    page = text_of("docs/reference/cli.md")
    assert runpy.run_path(str(SCRIPTS / "write_commands.py"))["written"](page) == page


def test_the_page_of_versions_has_each_format_of_a_record() -> None:
    """Each first byte that the envelope knows is in the table, and no other."""
    rows = table("docs/reference/versions.md", "first byte")
    known = {value for name, value in vars(envelope).items() if re.fullmatch(r"_[A-Z]+", name) and type(value) is int}
    assert {int(re.findall(r"0x[0-9a-f]{2}", row["first byte"])[0], 16) for row in rows} == known


class Careful:
    """Keeps a thing. Times are milliseconds since the epoch."""

    def until(self, expires_at: int) -> bool:
        """Return whether it is kept until *expires_at*."""
        raise StoreUnavailable("StoreUnavailable")

    def find(self, key: str) -> str | None:
        """Return the thing under *key*, or None.

        Raises:
            StoreUnavailable: It does not answer.
        """
        raise StoreUnavailable(key)


class Careless:
    """Keeps a thing."""

    def until(self, expires_at: int) -> bool:
        """Return whether it is kept until *expires_at*."""
        return bool(expires_at)

    def find(self, key: str) -> str | None:
        """Return the thing under *key*."""
        return key

    def count(self) -> int:
        """Count the things."""
        return 1

    def end(self) -> None:
        """End it."""
        raise StoreUnavailable("down")

    def bare(self) -> None: ...


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the check of one docstring."""
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    return runpy.run_path(str(SCRIPTS / "check_docstrings.py"))["faults_of"]


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("until", "gives no unit for expires_at"),
        ("find", "does not say when it is None"),
        ("count", "does not say what it returns"),
        ("end", "does not name StoreUnavailable"),
        ("bare", "has no docstring"),
    ],
)
def test_the_check_finds_what_a_docstring_lacks(faults: Any, method: str, fault: str) -> None:
    """A docstring without its unit, its return value or its exceptions is a fault, and so is none."""
    assert list(faults(getattr(Careless, method), Careless.__doc__)) == [fault]


def test_the_check_accepts_a_docstring_that_says_it(faults: Any) -> None:
    """The class may state the unit for its methods."""
    assert list(faults(Careful.find, Careful.__doc__)) == []
    assert list(faults(Careful.until, Careful.__doc__)) == ["does not name StoreUnavailable"]
