"""Generate parts of docs/reference/profiles.md from the code: the settings of each profile, and the doctor's report."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from holdfast.contrib.doctor import examine
from holdfast.contrib.doctor.checks import in_words
from holdfast.contrib.doctor.printing import lines_of
from holdfast.flask import Session
from holdfast.flask.settings.profiles import PROFILES, Profile
from holdfast.flask.settings.table import FLASKS, OWN
from holdfast.sessions.manager import directory

DEFAULTS = {setting.name: setting.default for setting in (*FLASKS, *OWN)}

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "profiles.md"


def written(text: str) -> str:
    """Return the page *text* with its generated parts up to date."""
    for name, content in (("tables", tables()), ("report", report())):
        opening, closing = re.findall(rf"<!-- (?:{name}:|end of {name}) ?[^\n]*-->\n?", text)
        before, _, rest = text.partition(opening)
        text = f"{before}{opening}\n{content}\n\n{closing}{rest.partition(closing)[2]}"
    return text


def tables() -> str:
    """Return a table for each standard, with a column for each level."""
    return "\n\n".join("\n".join(_table(standard)) for standard in ("asvs", "nist"))


def report() -> str:
    """Return the doctor's report on an application with no settings of its own."""
    with tempfile.TemporaryDirectory() as folder:
        app = Flask("shop", instance_path=folder)
        sessions = Session(app)
        lines = list(lines_of(examine(app)))
        directory(sessions.manager).store.close()  # type: ignore[attr-defined]  # the default store has it
    return "\n".join(["```text", *lines, "```"])


def _table(standard: str) -> Iterator[str]:
    profiles = {name: profile for name, profile in PROFILES.items() if profile.standard == standard}
    settings = dict.fromkeys(setting for profile in profiles.values() for setting in profile.settings)
    yield f"| | {' | '.join(f'`{name}`' for name in profiles)} |"
    yield "|---" * (len(profiles) + 1) + "|"
    for setting in settings:
        yield f"| `{setting}` | {' | '.join(_cell(profile, setting) for profile in profiles.values())} |"


def _cell(profile: Profile, setting: str) -> str:
    value: Any = profile.settings.get(setting, DEFAULTS[setting])
    if isinstance(value, timedelta):
        return in_words(value)
    if setting == "SESSION_MAX_BYTES":
        return "1 MiB" if value == 1024 * 1024 else f"{value // 1024} KiB"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value!r}`"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
