"""The tests notice the mistakes that a review would look for: each is made in a copy of the source in turn."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest
from core.reviewed import COOKIES, FLOWS, SEALING, STORES, Mistake, run_tests

_ROOT = Path(__file__).parents[2]
_ALL = [*FLOWS, *SEALING, *COOKIES, *STORES]

#: The processes are forked from one that has pytest imported, and more: see `holdfast.testing.workers`.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "flask.testing", "cryptography.hazmat.primitives.ciphers.aead"])


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
    process = _FORKS.Process(target=run_tests, args=(_ROOT, mistake.test, tmp_path))
    process.start()
    process.join(170)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode == pytest.ExitCode.TESTS_FAILED, (tmp_path / "said").read_text("utf-8")[-2000:]
