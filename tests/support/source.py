"""The text of Holdfast's own modules, for rules about what may be written there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast

_ROOT = Path(holdfast.__file__).parent


def read(path: Path) -> str:
    """Return the text of a module."""
    return path.read_text("utf-8")


def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module, by its path below ``holdfast``, such as ``sessions/flows/save.py``."""
    return {str(path.relative_to(_ROOT)): ast.parse(read(path)) for path in sorted(_ROOT.rglob("*.py"))}


def rewrite(patch: pytest.MonkeyPatch, module: str, old: str, new: str) -> None:
    """Let `read` show *module* with *new* in the place of *old*, which must be there."""

    def shown(path: Path) -> str:
        text = path.read_text("utf-8")
        if path == _ROOT / module:
            if old not in text:
                raise LookupError(f"{module} no longer holds what was to be replaced")
            text = text.replace(old, new)
        return text

    patch.setattr(sys.modules[__name__], "read", shown)


def imported(tree: ast.Module) -> set[str]:
    """Return the full names of what a module imports: ``random``, ``os.path``, ``secrets.token_bytes``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def called(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that is called: ``hmac.digest``, ``open``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
