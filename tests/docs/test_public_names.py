"""The page of public names, and the modules that have them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import holdfast

PACKAGE = Path(holdfast.__file__).parent
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "public-api.md").read_text("utf-8")
ROWS = {
    module: re.findall(r"`(\w+)`", names)
    for module, names in re.findall(r"^\| `([\w.]+)` \| (.+) \|$", PAGE, re.MULTILINE)
}
PACKAGES = sorted(
    ".".join(("holdfast", *file.parent.relative_to(PACKAGE).parts)) for file in PACKAGE.rglob("__init__.py")
)


@pytest.mark.parametrize("module", ROWS)
def test_the_page_names_what_a_module_exports(module: str) -> None:
    """The names of a public module on the page are those of its ``__all__``, each once."""
    pytest.importorskip(module)
    assert Counter(ROWS[module]) == Counter(import_module(module).__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_is_public_or_says_that_it_is_not(package: str) -> None:
    """A folder without a row for it, or for a module in it, says in its first line that it is internal."""
    public = any(f"{module}.".startswith(f"{package}.") for module in ROWS)
    source = PACKAGE.joinpath(*package.split(".")[1:], "__init__.py").read_text("utf-8")
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring is not None
    assert docstring.startswith("Internal") is not public
