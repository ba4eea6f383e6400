"""The list of internal names that tests replace is complete, and each name exists and is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support import seams
from support.seams import Seam

TESTS = Path(__file__).parent

SEAMS = {name: value for name, value in vars(seams).items() if isinstance(value, Seam | tuple)}


def _places() -> Iterator[str]:
    for value in SEAMS.values():
        for seam in value if isinstance(value, tuple) else (value,):
            yield from seam.places


def _exists(place: str) -> bool:
    try:
        Seam(place).sound  # noqa: B018  # it is looked up
    except (AttributeError, ImportError):
        return False
    return True


def test_every_seam_exists() -> None:
    """Each place on the list names something that exists."""
    assert [place for place in _places() if not _exists(place)] == []


def test_every_source_file_exists() -> None:
    """Each path on the list leads to a file."""
    paths = [value for name, value in vars(seams).items() if name.startswith("SOURCE_OF_")]
    assert paths
    assert [path for path in paths if not (TESTS.parent / "src" / "holdfast" / path).is_file()] == []


def test_every_seam_is_used() -> None:
    """Each name on the list is used by a test, or by another name on it."""
    texts = "\n".join(path.read_text("utf-8") for path in TESTS.rglob("*.py") if path.name != "seams.py")
    own = (TESTS / "support" / "seams.py").read_text("utf-8")
    assert [name for name in SEAMS if f"seams.{name}" not in texts and f"{name}." not in own] == []


def test_internal_names_are_replaced_through_seams_only() -> None:
    """No test calls `setattr` on anything that it imported from Holdfast."""
    found = [f"{path.relative_to(TESTS)}:{line}" for path in TESTS.rglob("*.py") for line in _direct(path)]
    assert found == []


def _direct(path: Path) -> Iterator[int]:
    tree = ast.parse(path.read_text("utf-8"))
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holdfast")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            target = ast.unparse(node.args[0]).strip("'\"")
            # A name replaced with `raising` is an attribute of the instances, and the class has none.
            on_instances = any(keyword.arg == "raising" for keyword in node.keywords)
            if not on_instances and (target.startswith("holdfast.") or target.partition(".")[0] in ours):
                yield node.lineno
