"""The page of profiles says what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_code_says() -> None:
    """The tables of profiles and the doctor's report are today's: scripts/write_profiles.py writes them anew."""
    script = runpy.run_path(str(ROOT / "scripts" / "write_profiles.py"))
    page = (ROOT / "docs" / "reference" / "profiles.md").read_text("utf-8")
    assert script["written"](page) == page
