"""What is released: the wheel, the source archive, the workflow, and the version, which one file states."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKS: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "check_dist.py"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the source archive of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """Return the wheel."""
    [found] = built.glob("*.whl")
    return found


def test_the_files_have_what_they_must_have(built: Path, wheel: Path) -> None:
    """The wheel has every file of the package and py.typed, the source archive has what builds and tests it."""
    [sdist] = built.glob("*.tar.gz")
    assert [*CHECKS["wheel_faults"](wheel), *CHECKS["archive_faults"](sdist)] == []


def test_the_metadata_and_the_readme_work_on_an_index(wheel: Path) -> None:
    """The metadata has the version, the licence and the project's URLs, and each link of the README is absolute."""
    assert list(CHECKS["metadata_faults"](CHECKS["metadata_of"](wheel))) == []


@pytest.mark.parametrize(
    ("field", "value"), [("Version", "9.9"), ("Project-URL", "Home, https://example.org"), ("Requires-Python", ">=3.6")]
)
def test_wrong_metadata_is_found(wheel: Path, field: str, value: str) -> None:
    """The check reports a field that differs."""
    metadata = CHECKS["metadata_of"](wheel)
    del metadata[field]
    metadata[field] = value
    assert list(CHECKS["metadata_faults"](metadata))


def test_a_relative_link_in_the_readme_is_found(wheel: Path) -> None:
    """The check reports a link that leads nowhere on a package index."""
    metadata = CHECKS["metadata_of"](wheel)
    metadata.set_payload("[guide](docs/index.md)")
    assert any("docs/index.md" in fault for fault in CHECKS["metadata_faults"](metadata))


@pytest.fixture(scope="module")
def pythons() -> dict[str, str]:
    """Return the interpreter of each version that is there."""
    found: dict[str, str] = CHECKS["pythons"]()
    return found


@pytest.mark.parametrize("version", CHECKS["PYTHONS"])
def test_the_wheel_installs(wheel: Path, version: str, pythons: dict[str, str], tmp_path: Path) -> None:
    """Each Python that is there accepts the wheel and imports it; ``make dist`` also runs an application with it."""
    if version not in pythons:
        pytest.skip(f"Python {version} is not there")
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(tmp_path), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", pythons[version], *install], check=True)
    program = "import holdfast, importlib.metadata as of; assert of.version('holdfast') == holdfast.__version__"
    done = subprocess.run(
        [pythons[version], "-W", "error", "-c", program],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_one_file_states_the_version() -> None:
    """Neither pyproject.toml nor another module repeats it, and the changelog has a part for what is to come."""
    assert re.search(r'^dynamic = \["version"\]', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    stated = [path for path in (ROOT / "src").rglob("*.py") if f'"{CHECKS["version"]()}"' in path.read_text("utf-8")]
    assert [path.name for path in stated] == ["__init__.py"]
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_workflow_publishes_without_a_secret() -> None:
    """It has an identity only where it signs or publishes, attests the files and their parts, and has no token."""
    yaml: Callable[[str], Any] = pytest.importorskip("yaml").safe_load
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    jobs = yaml(text)["jobs"]
    assert yaml(text)["permissions"] == {}
    assert {name for name, job in jobs.items() if "id-token" in job["permissions"]} == {"build", "publish"}
    assert "secrets." not in text
    used = {step["uses"].partition("@")[0] for job in jobs.values() for step in job["steps"] if "uses" in step}
    assert {"actions/attest-build-provenance", "actions/attest-sbom", "pypa/gh-action-pypi-publish"} <= used
    assert set(re.findall(r"pip install (\S+)", text)) == {"--require-hashes"}
    pinned = set(re.findall(r"uses: (\S+)@[0-9a-f]{40} # v[\d.]+$", text, re.MULTILINE))
    assert used - pinned == {"pypa/gh-action-pypi-publish"}
    targets = re.findall(r"\bmake ([a-z-]+)", text)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(f"\n{target}:" in makefile for target in targets)


def test_types_that_were_not_looked_for_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of types fails where pyright finds no symbol of the package, and not only where one is incomplete."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = runpy.run_path(str(ROOT / "scripts" / "check_types.py"))
    monkeypatch.setitem(script["main"].__globals__, "report", list)
    assert script["main"]() == 1
