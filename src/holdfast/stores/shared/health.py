"""Findings that several stores report about their health."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from holdfast.stores.contract import HealthFinding

# Two clocks under NTP differ by less than this, in milliseconds.
_TOLERATED = 5000


def about_clock(theirs: int, ours: int) -> HealthFinding:
    """Compare two clocks, in milliseconds since the epoch."""
    seconds = (theirs - ours) / 1000
    if abs(theirs - ours) <= _TOLERATED:
        return HealthFinding("clock", f"the server's clock differs by {abs(seconds):.1f} s", ok=True)
    direction = "ahead of" if seconds > 0 else "behind"
    found = f"the server's clock is {abs(seconds):.0f} s {direction} this machine's"
    return HealthFinding("clock", found, "set both clocks by NTP: timedatectl set-ntp true", ok=False)


def about_modes(folder: Path | None, files: Iterable[Path]) -> HealthFinding:
    """Return whether *folder*, and those of *files* that exist, are accessible to their owner only."""
    for path, mode in [(folder, 0o700), *((file, 0o600) for file in files)]:
        with suppress(FileNotFoundError):
            found = 0 if path is None else stat.S_IMODE(path.stat().st_mode)
            if found & 0o077:
                fix = f"chmod {mode:o} {path}"
                return HealthFinding("permissions", f"{path} has the mode {found:04o}", fix, ok=False)
    return HealthFinding("permissions", "no other user of the machine can read the sessions", ok=True)


def about_indexes(missing: Iterable[str], fix: str) -> HealthFinding:
    """Return whether the indexes for a search exist, given the columns of those that are *missing*."""
    columns = " and ".join(missing)
    if not columns:
        return HealthFinding("indexes", "by owner and by expiry", ok=True)
    return HealthFinding("indexes", f"there is none on {columns}", fix, ok=False)
