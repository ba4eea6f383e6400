"""Every requirement has a test, or a reason why it has none; and the page that says so is today's."""

from __future__ import annotations

import runpy
from pathlib import Path

from security.catalogue import catalogue
from security.out_of_scope import OUT_OF_SCOPE

ROOT = Path(__file__).parents[2]

REQUIREMENTS = Path(__file__).with_name("requirements.txt").read_text("utf-8").splitlines()


def ids_tested() -> set[str]:
    """Return the ids of all requirements and advisories that a test is marked with."""
    return {id_ for each in catalogue() for id_ in each.row.ids}


def test_every_requirement_is_tested_or_somebody_else_s() -> None:
    """Each id on the list is on a test, which catches at least one bug, or is out of scope; none is both."""
    assert len(set(REQUIREMENTS)) == len(REQUIREMENTS)
    found = ids_tested()
    assert [id_ for id_ in REQUIREMENTS if id_ not in found and id_ not in OUT_OF_SCOPE] == []
    assert found & OUT_OF_SCOPE.keys() == set()
    assert OUT_OF_SCOPE.keys() <= set(REQUIREMENTS)


def test_the_page_is_what_the_tests_say() -> None:
    """docs/explanation/requirements.md is what scripts/write_requirements.py writes."""
    script = runpy.run_path(str(ROOT / "scripts" / "write_requirements.py"))
    page = (ROOT / "docs" / "explanation" / "requirements.md").read_text("utf-8")
    assert script["written"](page) == page, "run python scripts/write_requirements.py"
