"""The code blocks of the README and the docs, so that tests can run them."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of *page*, a path from the root of the project, in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```", (_ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
