"""The page on writing a store is enough to write one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.pages import blocks

PAGE = "docs/how-to/write-your-own-store.md"


def test_the_store_of_the_page_passes_the_suite_of_the_page(tmp_path: Path) -> None:
    """The store, the application and the test class work when they are saved and run as the page says."""
    store, application, test = blocks(PAGE, "python")
    (tmp_path / "dictstore.py").write_text(store)
    (tmp_path / "application.py").write_text(application)
    (tmp_path / "test_dictstore.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    subprocess.run([sys.executable, "-c", "import application"], cwd=tmp_path, check=True)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
