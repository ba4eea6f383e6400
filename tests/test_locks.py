"""The packages that `make` installs: all of pyproject.toml's, in exact versions with hashes, on every Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML, and the locks are the same for all")

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

#: Each lock takes the group of its name, if there is one; these take what Holdfast itself needs, too.
LOCKS = ["build", "dev", "fuzz", "lock", "oldest", "release", "run"]
OWN = ["dev", "oldest", "run"]

ENTRY = re.compile(r"[a-z0-9.-]+==\S+ (; [^\\\n]+ )?\\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+(    # via .*\n)?$")

_NPM = ("package.json", "package-lock.json")

every_lock = pytest.mark.parametrize("lock", LOCKS)


def text_of(lock: str) -> str:
    """Return the content of a lock."""
    return (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")


def asked_for(lock: str) -> Iterator[Requirement]:
    """Yield the requirements that *lock* has to meet."""
    yield from in_group(lock)
    if lock in OWN:
        optional = PROJECT["project"]["optional-dependencies"]
        for texts in [PROJECT["project"]["dependencies"], *(optional[name] for name in optional if name != "all")]:
            yield from map(Requirement, texts)


def in_group(name: str) -> Iterator[Requirement]:
    """Yield the requirements of a dependency group, and of those that it includes; none for no group."""
    for entry in GROUPS.get(name, []):
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from in_group(entry["include-group"])


def on_linux(python: str) -> dict[str, str]:
    """Return what markers are compared with, for a Python on Linux."""
    return {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux",
            "platform_machine": "x86_64", "implementation_name": "cpython", "os_name": "posix"}  # fmt: skip


def applies(requirement: Requirement, python: str) -> bool:
    """Return whether the marker of *requirement* lets it count."""
    return requirement.marker is None or requirement.marker.evaluate(on_linux(python))


def test_every_lock_is_known() -> None:
    """The tests below read every lock that there is."""
    assert sorted(path.stem for path in (ROOT / "requirements").glob("*.txt")) == LOCKS


def test_what_comes_from_npm_is_locked() -> None:
    """Each package has one version and a hash, no line names a place, and what is asked for is exact."""
    asked, lock = (json.loads((ROOT / "requirements" / "node" / name).read_text("utf-8")) for name in _NPM)
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert all(package["version"] and package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in json.dumps([package.get("resolved", "") for package in packages.values()])
    assert {f"node_modules/{name}": version for name, version in asked["dependencies"].items()}.items() <= {
        name: package["version"] for name, package in packages.items()
    }.items()


@every_lock
def test_a_lock_is_exact(lock: str) -> None:
    """Each package has one version and a hash of each of its files; no line names a place, or an option of pip."""
    for entry in re.findall(r"^[^ #\n].*(?:\n .*)*\n", text_of(lock), re.MULTILINE):
        assert ENTRY.match(entry), entry
    assert "://" not in text_of(lock)


@pytest.mark.parametrize("python", PYTHONS)
@every_lock
def test_a_lock_has_what_is_asked_for(lock: str, python: str) -> None:
    """A version that pyproject.toml allows is there for each requirement; if not, `make lock` was forgotten."""
    locked = {}
    for line in re.findall(r"^\S+==[^\\\n]+", text_of(lock), re.MULTILINE):
        entry = Requirement(line)
        if applies(entry, python):
            locked[canonicalize_name(entry.name)] = Version(str(entry.specifier).removeprefix("=="))
    for requirement in asked_for(lock):
        if applies(requirement, python):
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)], prereleases=True), (
                requirement
            )


def test_the_oldest_flask_is_the_oldest_allowed() -> None:
    """`make matrix` runs the tests on the Flask that Holdfast's own requirement begins with."""
    [floor] = [text for text in PROJECT["project"]["dependencies"] if text.startswith("Flask>=")]
    [oldest] = [text for text in GROUPS["oldest"] if str(text).startswith("Flask==")]
    assert Version(oldest.removeprefix("Flask==")) == Version(floor.removeprefix("Flask>="))
