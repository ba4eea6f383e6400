"""The files of the tests: found by name, and short enough to read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

FILES = [path for path in Path(__file__).parent.rglob("*.py") if "__pycache__" not in path.parts]

#: The most lines that a file may have.
LONGEST = 500


def test_no_two_test_files_have_one_name() -> None:
    """The name of a test file says which one it is."""
    names = Counter(path.name for path in FILES if path.name.startswith(("test_", "planted_")))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_file_is_too_long() -> None:
    """A file of tests is split by subject before it has more than 500 lines."""
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
