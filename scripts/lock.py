"""Write the locks in requirements/ from pyproject.toml, and print which versions changed.

Everything moves to its newest release; where arguments name packages, only those do, and what pyproject.toml asks for.
A lock holds for every Python from 3.10 on: exact versions, hashes and markers, and no address.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).with_name("uv"))

#: For each lock, the arguments of uv that name what it takes from pyproject.toml.
LOCKS = {
    "build": ["--group", "build"],
    "lock": ["--group", "lock"],
    "dev": ["pyproject.toml", "--extra", "all", "--group", "dev"],
    "run": ["pyproject.toml", "--extra", "all", "--group", "run", "--constraint", "requirements/dev.txt"],
    "fuzz": ["--group", "fuzz", "--constraint", "requirements/dev.txt"],
    "release": ["--group", "release"],
    "oldest": ["pyproject.toml", "--extra", "all", "--group", "oldest"],
}
FORM = [
    "--universal", "--python-version=3.10", "--generate-hashes", "--annotation-style=line",
    "--custom-compile-command=make lock",
]  # fmt: skip


def versions(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package of *lock*, one or one for each of several Pythons; nothing for no lock."""
    found: dict[str, set[str]] = {}
    path = ROOT / "requirements" / f"{lock}.txt"
    for name, version in re.findall(r"^(\S+)==(\S+)", path.read_text("utf-8") if path.exists() else "", re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def write(lock: str, packages: list[str]) -> None:
    """Write *lock* with the newest releases of the *packages*; of all where there are none."""
    upgrade = [f"--upgrade-package={package}" for package in packages] or ["--upgrade"]
    command = [UV, "pip", "compile", "--quiet", *LOCKS[lock], *FORM, *upgrade, "-o", f"requirements/{lock}.txt"]
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    subprocess.run(command, cwd=ROOT, env=environ, check=True)


def changes(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """Return a line for each package whose versions differ: those that went, and those that came."""
    lines = []
    for name in before.keys() | after.keys():
        old, new = before.get(name, set()), after.get(name, set())
        if old != new:
            lines.append(f"{name} {', '.join(sorted(old - new)) or '-'} -> {', '.join(sorted(new - old)) or '-'}")
    return lines


def main(packages: list[str]) -> None:
    """Write every lock; print what changed, and in which locks."""
    changed: dict[str, list[str]] = {}
    for lock in LOCKS:
        before = versions(lock)
        write(lock, packages)
        for line in changes(before, versions(lock)):
            changed.setdefault(line, []).append(lock)
    for line, locks in sorted(changed.items()):
        print(f"{line}  ({', '.join(locks)})")
    print(f"{len(changed)} changes of versions in requirements/.")


if __name__ == "__main__":
    main(sys.argv[1:])
