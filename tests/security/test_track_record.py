"""Every advisory on the list has a test, or a reason why it cannot happen; and the page that says so is today's."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from security.catalogue import catalogue
from security.not_applicable import NOT_APPLICABLE
from security.rows import OWN

ROOT = Path(__file__).parents[2]

ADVISORIES = Path(__file__).with_name("advisories.txt").read_text("utf-8").splitlines()


def test_every_advisory_is_tested_or_cannot_happen() -> None:
    """Each id on the list is on a test or in the table of what cannot happen, and none is besides."""
    assert len(set(ADVISORIES)) == len(ADVISORIES)
    tested = {id_ for each in catalogue() if each.row.product not in ("", OWN) for id_ in each.row.ids}
    assert [id_ for id_ in ADVISORIES if id_ not in tested and id_ not in NOT_APPLICABLE] == []
    assert tested & NOT_APPLICABLE.keys() == set()
    assert tested | NOT_APPLICABLE.keys() == set(ADVISORIES)


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Return what scripts/write_track_record.py defines."""
    return runpy.run_path(str(ROOT / "scripts" / "write_track_record.py"))


def test_the_page_is_what_the_tests_say(script: dict[str, Callable[[str], str]]) -> None:
    """docs/explanation/track-record.md is what scripts/write_track_record.py writes."""
    page = (ROOT / "docs" / "explanation" / "track-record.md").read_text("utf-8")
    assert script["written"](page) == page


def test_the_figures_are_those_of_the_runs(script: dict[str, Any]) -> None:
    """The number of planted bugs is that of the runs in which pytest plants one."""
    found = script["advisories"]()
    planted = {(each.file, each.test): set[str]() for each in found}
    for each in found:
        planted[each.file, each.test] |= {mutant.__name__ for mutant in each.row.mutants}
    number = sum(map(len, planted.values()))
    assert re.search(rf"detect {number} of {number} planted bugs", script["figures"]())
