"""Faults of files: removed, no space, open permissions, killed processes."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import StoreUnavailable

KILLS = Path(__file__).with_name("kills.py")


@contextmanager
def taken_away(folder: Path) -> Iterator[None]:
    """Put a file in the place of *folder* inside the block, as if its disk were broken."""
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Create files under another umask inside the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def no_room_for_files_over(size: int) -> Iterator[None]:
    """Let every write beyond *size* bytes of a file fail inside the block, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def folder_on_another_device(place: Path) -> Iterator[Path]:
    """Give an empty folder that is not on the disk of *place*, or skip the test where there is none."""
    shared_memory = Path("/dev/shm")  # noqa: S108 (a folder of its own is made in it)
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == place.stat().st_dev:
        pytest.skip("there is no second device to write to")
    with tempfile.TemporaryDirectory(dir=shared_memory) as folder:
        yield Path(folder)


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """Give a disk of *size*, such as ``64m``. Servers that are started inside the block have their folders on it.

    Skip the test where this user may not mount one.
    """
    folder = tempfile.mkdtemp(prefix="holdfast-disk-")
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", folder]
    before = tempfile.tempdir
    try:
        if os.geteuid() or subprocess.run(mounted, check=False, capture_output=True).returncode:
            pytest.skip("no disk can be mounted")
        tempfile.tempdir = folder
        yield Path(folder)
    finally:
        tempfile.tempdir = before
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)
        Path(folder).rmdir()


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no room on the disk of *folder* inside the block."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def refused(number: int) -> Iterator[None]:
    """Expect an outage inside the block, which the system's error of this *number* is the cause of."""
    with pytest.raises(StoreUnavailable, match="cannot be used: ") as caught:
        yield
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == number


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of everything below *folder*, by relative path."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


def run(code: str, *arguments: object) -> str:
    """Run *code* in an interpreter of its own, which must succeed, and return what it printed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_writers(url: str, *, kills: int, seed: int) -> dict[str, Any]:
    """Kill so many writers of the store at *url* while they save. Return what was found, see `kills.py`."""
    command = [sys.executable, str(KILLS), url, str(kills), str(seed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    findings: dict[str, Any] = json.loads(done.stdout)
    return findings
