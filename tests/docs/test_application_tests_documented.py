"""The project of docs/how-to/test-your-application.md passes its own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.pages import blocks


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """The application, its ``conftest.py`` and its six tests are a project that pytest runs as it is."""
    for block in blocks("docs/how-to/test-your-application.md", "python"):
        name = block.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout
