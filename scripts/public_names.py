"""The public names, as docs/reference/public-api.md lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| `(?P<module>[\w.]+)` \| (?P<names>.+) \|$", re.MULTILINE)


def names() -> dict[str, list[str]]:
    """Return the public names of each module, in the order of the page."""
    page = (ROOT / "docs" / "reference" / "public-api.md").read_text("utf-8")
    return {row["module"]: list(dict.fromkeys(re.findall(r"`(\w+)`", row["names"]))) for row in ROW.finditer(page)}


def objects() -> Iterator[tuple[str, Any]]:
    """Yield the full name and the object of each public name; of ``holdfast.flask.session``, a proxy, nothing."""
    for module, found in names().items():
        for name in found:
            if f"{module}.{name}" != "holdfast.flask.session":
                yield f"{module}.{name}", getattr(import_module(module), name)


def where_defined(named: Any) -> Iterator[str]:
    """Yield the full names under which *named*, and what it inherits, are defined in Holdfast."""
    for each in named.__mro__ if isinstance(named, type) else [named]:
        if str(getattr(each, "__module__", "")).startswith("holdfast") and hasattr(each, "__qualname__"):
            yield f"{each.__module__}.{each.__qualname__}"
