"""Write the table of signals into docs/reference/signals.md, from `holdfast.events`."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast import events

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "signals.md"
COMMENT = re.compile(r"^#: (?P<text>.+)\n(?P<name>\w+): NamedSignal = _signals\.signal", re.MULTILINE)


def table() -> str:
    """Return the table: each signal, when it is sent, and its arguments."""
    rows = ["| signal | sent when | arguments |", "|---|---|---|"]
    for match in COMMENT.finditer(Path(events.__file__).read_text("utf-8")):
        sentence, _, rest = match["text"].partition(". ")
        arguments = ", ".join(f"`{name}`" for name in re.findall(r"\*(\w+)\*", rest))
        rows.append(f"| `{match['name']}` | {sentence[0].lower()}{sentence[1:]} | {arguments} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """Return *page* with its table up to date."""
    opening = "<!-- signals: written by scripts/write_signals.py -->"
    closing = "<!-- end of signals -->"
    before, _, rest = page.partition(opening)
    return f"{before}{opening}\n\n{table()}\n\n{closing}{rest.partition(closing)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
