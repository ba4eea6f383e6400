"""Run the test suites of Flask, Flask-Login and Flask-WTF with every application on Holdfast.

Each suite comes from its project's source distribution and runs twice, without Holdfast and with it. A test counts if
it fails only with it. Arguments choose releases, as in ``flask==3.0.3``. Environments and sources are in
build/upstream.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "upstream"
PYTHON = PLACE / "venv" / "bin" / "python"
SUITES = ["flask", "flask-login", "flask-wtf"]

#: The packages that the suites need, in versions that work with them.
TOOLS = [
    "pytest<9", "asgiref", "greenlet", "python-dotenv", "cryptography", "semantic-version", "flask-babel",
    "flask-reuploaded", "email-validator",
]  # fmt: skip

#: Tests of intended differences of Holdfast.
EXPECTED = {
    "test_session_cookie_setting": "a permanent session's cookie is sent again when it is due, not on each response",
    "test_session_using_samesite_attribute": "the cookie is sent for a new token, not for other attributes",
    "test_session_refresh_vary": "a request that leaves the session alone costs nothing: it refreshes no cookie either",
}


def prepare(releases: list[str]) -> None:
    """Create the environment, with this copy of Holdfast and the given *releases*."""
    if not PYTHON.exists():
        venv.create(PYTHON.parents[1], with_pip=True)
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "--editable", ROOT, *TOOLS, *releases], check=True
    )


def fetch(suite: str) -> Path:
    """Return the folder with the sources of the installed release of *suite*."""
    code = f"import importlib.metadata as m; print(m.version({suite!r}))"
    version = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    folder = PLACE / f"{suite}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=PLACE) as place:
            source = ["--no-binary", ":all:", "--no-deps", "--dest", place, f"{suite}=={version}"]
            subprocess.run([PYTHON, "-m", "pip", "download", "--quiet", *source], check=True)
            [archive] = Path(place).iterdir()
            with tarfile.open(archive) as tar:
                tar.extractall(place, filter="data")
            [unpacked] = [path for path in Path(place).iterdir() if path.is_dir()]
            unpacked.rename(folder)
    return folder


def run(folder: Path, *options: str) -> tuple[int, set[str]]:
    """Run a suite; return the number of tests, and the names of those that failed."""
    report = PLACE / "report.xml"
    report.unlink(missing_ok=True)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [str(PYTHON), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *options, "tests"]
    result = subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True, text=True)
    if not report.exists() or result.returncode > 1:
        sys.exit(result.stdout + result.stderr)
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314  # pytest wrote it just now
    failed = {
        case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None
    }
    return len(cases), failed


def main(releases: list[str]) -> int:
    """Run every suite and print the results; return 1 if a test failed unexpectedly."""
    prepare([*SUITES, *releases])
    broken: set[str] = set()
    for suite in SUITES:
        folder = fetch(suite)
        _, without = run(folder)
        count, failed = run(folder, "-p", "holdfast_everywhere")
        ours = failed - without
        broken |= ours - set(EXPECTED)
        print(f"{folder.name}: {count - len(failed)} of {count} pass on Holdfast, {count - len(without)} without it")
        for name in sorted(ours):
            print(f"  {name}: {EXPECTED.get(name, 'FAILED')}")
        for name in sorted(failed & without):
            print(f"  {name}: fails without it too")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
