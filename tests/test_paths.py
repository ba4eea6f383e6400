"""A request passes few source files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "trace_path.py"


@pytest.mark.slow
def test_the_paths_of_requests_are_short() -> None:
    """A read, a write and a login pass no more files, and hop between them no more often, than the script allows."""
    traced = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert traced.returncode == 0, traced.stdout + traced.stderr
