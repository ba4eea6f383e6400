"""The tests notice the mistakes that a review would look for: each is made in a copy of the source in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from core.reviewed import COOKIES, FLOWS, SEALING, STORES, Mistake

_ROOT = Path(__file__).parents[2]
_ALL = [*FLOWS, *SEALING, *COOKIES, *STORES]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mistake", [pytest.param(each, id=each.what) for each in _ALL])
def test_a_mistake_is_noticed(mistake: Mistake, tmp_path: Path) -> None:
    """With the mistake in the source, its test fails."""
    # With what is compiled, but for files that another test is writing.
    shutil.copytree(_ROOT / "src" / "holdfast", tmp_path / "holdfast", ignore=shutil.ignore_patterns("*.pyc.*"))
    source = tmp_path / "holdfast" / mistake.file
    sound = source.read_text("utf-8")
    assert sound.count(mistake.sound) == 1, "the source has changed: adapt the mistake"
    source.write_text(sound.replace(mistake.sound, mistake.wrong), "utf-8")
    without = [
        argument for plugin in ("cacheprovider", "randomly", "xdist", "cov") for argument in ("-p", f"no:{plugin}")
    ]
    command = [sys.executable, "-m", "pytest", "-x", "-q", *without]
    servers = "not redis and not memcached and not mongodb and not dynamodb and not mariadb and not postgresql"
    ran = subprocess.run(
        [*command, "-k", servers, *(str(_ROOT / "tests" / test) for test in mistake.test.split())],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(_ROOT / "tests")])},
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert ran.returncode == 1, ran.stdout[-2000:] + ran.stderr[-500:]
