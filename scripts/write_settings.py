"""Write the tables of settings into docs/reference/settings.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from holdfast.contrib.doctor.checks import in_words
from holdfast.flask.settings.flask_session_compat import TYPES, StoreType
from holdfast.flask.settings.setting import Setting
from holdfast.flask.settings.table import FLASKS, OWN

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"


def written(text: str) -> str:
    """Return the page *text* with its tables as they are today."""
    for name, lines in (("own", table(OWN)), ("flask", table(FLASKS)), ("types", types())):
        opening, closing = re.findall(rf"<!-- (?:{name}:|end of {name}) ?[^\n]*-->\n?", text)
        before, _, rest = text.partition(opening)
        content = "\n".join(lines)
        text = f"{before}{opening}\n{content}\n\n{closing}{rest.partition(closing)[2]}"
    return text


def table(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield the lines of a table with a row for each of *settings*."""
    yield "| key | default | effect |"
    yield "|---|---|---|"
    for setting in settings:
        live = " *live*" if setting.live else ""
        yield f"| `{setting.name}` | {default_of(setting)} | {setting.doc}{live} |"


def types() -> Iterator[str]:
    """Yield the lines of a table with a row for each value of ``SESSION_TYPE``."""
    yield "| `SESSION_TYPE` | settings | store |"
    yield "|---|---|---|"
    for name, kind in TYPES.items():
        yield f'| `"{name}"` | {_settings_of(kind)} | {kind.doc} |'


def default_of(setting: Setting) -> str:
    """Return the default of *setting* in words."""
    value: Any = setting.default
    if isinstance(value, timedelta):
        return in_words(value)
    if type(value) is int and value % (1024 * 1024) == 0:
        return f"{value // (1024 * 1024)} MiB"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value!r}`"


def _settings_of(kind: StoreType) -> str:
    cells = []
    for setting in kind.settings:
        joint = "" if not setting.doc else " " if setting.doc.startswith("(") else ", "
        cells.append(f"`{setting.name}`{joint}{setting.doc}")
    return ", ".join(cells)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
