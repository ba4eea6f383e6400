"""The guide for users of Flask-Session says what the tests say."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "coming-from-flask-session.md").read_text("utf-8")


def test_every_difference_is_a_test() -> None:
    """Each row of the table of differences names a test that exists."""
    rows = GUIDE.partition("## Differences")[2].partition("\n## ")[0].splitlines()
    named = [re.search(r"`(test_\w+)` \|$", row) for row in rows if row.startswith("|")][2:]
    known = {
        name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(named) > 15
    for found in named:
        assert found is not None
        assert found[1] in known
