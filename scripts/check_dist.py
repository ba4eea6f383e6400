"""Check what is released, in dist/: the contents and the metadata of the wheel and the source archive, and the README.

With ``--install`` the wheel is also installed, with what requirements/run.txt locks, on each Python that is there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
URLS = {"Documentation", "Repository", "Issues", "Changelog", "Security"}
#: What the source archive must have so that others can build and test from it, and folders that it must not have.
SOURCES = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "docs/index.md", "tests/conftest.py"}
LEFTOVERS = re.compile(r"(^|/)(\.venv|build|dist|__pycache__|\.git|instance|docs/reference/api)(/|$)")

PROGRAM = """
from flask import Flask, session
from holdfast.flask import Session
app = Flask("shop")
app.config["SESSION_STORE"] = "memory://"
Session(app)
app.add_url_rule("/", view_func=lambda: str(session.apply("visits", lambda n: n + 1, default=0)))
browser = app.test_client()
assert [browser.get("/").text for _ in range(2)] == ["1", "2"]
"""


def version() -> str:
    """Return the version, from the one place that states it."""
    [found] = re.findall(r'^__version__ = "(.+)"', (ROOT / "src/holdfast/__init__.py").read_text("utf-8"), re.MULTILINE)
    return str(found)


def wheel_faults(wheel: Path) -> Iterator[str]:
    """Yield a sentence for each file that *wheel* lacks or should not have."""
    files = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/holdfast").rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
        dist_info = {name.rpartition("/")[2] for name in archive.namelist() if ".dist-info/" in name}
    yield from (f"the wheel lacks {name}" for name in sorted(wanted - found))
    yield from (f"the wheel has {name}" for name in sorted(found - wanted))
    yield from (f"the wheel lacks {name}" for name in sorted({"METADATA", "LICENSE"} - dist_info))
    if "holdfast/py.typed" not in found:
        yield "the wheel has no py.typed, so type checkers ignore its types"


def archive_faults(sdist: Path) -> Iterator[str]:
    """Yield a sentence for each file that the source archive lacks or should not have."""
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    yield from (f"the source archive lacks {name}" for name in sorted(SOURCES - found))
    yield from (f"the source archive has {name}" for name in sorted(found) if LEFTOVERS.search(name))


def metadata_of(wheel: Path) -> Message:
    """Return the metadata in *wheel*."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def metadata_faults(metadata: Message) -> Iterator[str]:
    """Yield a sentence for each field that is wrong, and each link of the README that is not absolute."""
    wanted = {
        "Name": "holdfast",
        "Version": version(),
        "Requires-Python": ">=3.10",
        "License-Expression": "BSD-3-Clause",
    }
    wanted["Description-Content-Type"] = "text/markdown"
    yield from (f"{name} is {metadata[name]!r}" for name in wanted if metadata[name] != wanted[name])
    missing = URLS - {value.partition(",")[0] for value in metadata.get_all("Project-URL", [])}
    yield from (f"the project URL {name} is missing" for name in sorted(missing))
    readme = str(metadata.get_payload())
    if readme.strip() != (ROOT / "README.md").read_text("utf-8").strip():
        yield "the description is not README.md"
    page = MarkdownIt("commonmark").enable("table").render(readme)
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    yield from (
        f"the link to {link} does not work on a package index" for link in links if not re.match("https://|#", link)
    )
    yield from (f"the README has a link without a target: {text}" for text in re.findall(r"\]\[[\w-]+\]", page))


def pythons() -> dict[str, str]:
    """Return the interpreter of each supported version that is there."""
    found: dict[str, str] = {}
    for wanted in PYTHONS:
        folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        for python in (f"python{wanted}", *map(str, folder.glob(f"{wanted}.*/bin/python"))):
            probe = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"
            try:
                done = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
            except OSError:
                continue
            name, _, there = done.stdout.strip().partition(" ")
            if name == wanted:
                found.setdefault(wanted, there)
    return found


def install(wheel: Path) -> Iterator[str]:
    """Install *wheel* on each Python, run a program with it, and yield a sentence for each that fails."""
    there = pythons()
    for name in PYTHONS:
        python = there.get(name)
        if python is None:
            print(f"Python {name}: not on this machine")
            continue
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([python, "-m", "venv", folder], check=True)
            installed = f"{folder}/bin/python"
            locked = ["--quiet", "--require-hashes", "--requirement", "requirements/run.txt"]
            for command in (
                ["-m", "pip", "install", *locked],
                ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)],
                ["-W", "error", "-c", PROGRAM],
                ["-m", "holdfast", "--version"],
            ):
                done = subprocess.run([installed, *command], cwd=ROOT, capture_output=True, text=True, check=False)
                if done.returncode:
                    yield f"Python {name}: {' '.join(command[:3])}: {done.stderr}"
                    break
            else:
                print(f"Python {name}: the wheel is installed, and an application runs with it")


def main(arguments: list[str]) -> int:
    """Print every fault found; return 1 if there is one."""
    [wheel], [sdist] = ROOT.glob("dist/*.whl"), ROOT.glob("dist/*.tar.gz")
    faults = [*wheel_faults(wheel), *archive_faults(sdist), *metadata_faults(metadata_of(wheel))]
    if "--install" in arguments:
        faults += install(wheel)
    print(*faults, f"Checked {wheel.name} and {sdist.name}: {len(faults) or 'no'} faults.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
