"""Generate the tables of docs/explanation/track-record.md: the published bugs, and their tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from security.catalogue import Tested, catalogue, filled, natural, table  # noqa: E402  # the tests are not installed
from security.not_applicable import NOT_APPLICABLE  # noqa: E402
from security.rows import OWN  # noqa: E402

PAGE = ROOT / "docs" / "explanation" / "track-record.md"


def advisories() -> list[Tested]:
    """Return our own faults, and then the rows about published advisories, the newest advisory first."""
    rows = [each for each in catalogue() if each.row.product]
    published = sorted(rows, key=lambda each: (natural(each.row.ids[0]), each.test), reverse=True)
    return sorted(published, key=lambda each: each.row.product != OWN)


def bugs_of(rows: list[Tested]) -> int:
    """Return the number of planted bugs that the tests of *rows* detect: a bug counts once for each of its tests."""
    return len({(each.file, each.test, mutant.__name__) for each in rows for mutant in each.row.mutants})


def tests_of(rows: list[Tested]) -> int:
    """Return the number of tests of *rows*."""
    return len({(each.file, each.test) for each in rows})


def figures() -> str:
    """Return the numbers of rows, tests and planted bugs."""
    found, everything = advisories(), catalogue()
    ids = {id_ for each in found for id_ in each.row.ids if each.row.product != OWN}
    own = sum(each.row.product == OWN for each in found)
    return (
        f"{len(ids)} advisories and {own} faults of our own, in {len(found)} rows on"
        f" {tests_of(found)} tests, which detect {bugs_of(found)} of"
        f" {bugs_of(found)} planted bugs.\nWith the [requirements](requirements.md) it is {len(everything)} rows on"
        f" {tests_of(everything)} tests, which detect {bugs_of(everything)} of {bugs_of(everything)}.\n"
        f"{len(NOT_APPLICABLE)} advisories do not apply."
    )


def record() -> str:
    """Return the table of the advisories."""
    headings = ("advisory or fault", "product", "the bug", "the behaviour here", "test", "planted bugs it detects")
    return table(headings, [_line(each) for each in advisories()])


def _line(each: Tested) -> tuple[str, ...]:
    bugs = "<br>".join((mutant.__doc__ or "").strip() for mutant in each.row.mutants)
    return (", ".join(each.row.ids), each.row.product, each.row.says, each.holds, each.link, bugs)


def others() -> str:
    """Return the table of advisories that do not apply."""
    ids = sorted(NOT_APPLICABLE, key=natural, reverse=True)
    return table(("advisory", "why"), [(id_, NOT_APPLICABLE[id_]) for id_ in ids])


def written(page: str) -> str:
    """Return *page* with its generated parts up to date."""
    for part, content in (("figures", figures()), ("record", record()), ("others", others())):
        page = filled(page, part, content)
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
