"""No code block of the docs is without a test, or a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.accounted import COMMANDS, FRAGMENTS, NOT_RUN, PROGRAMS, PROGRAMS_RUN_BY, RUN_BY, UNACCOUNTED, is_program
from support.pages import every_block

TESTS = Path(__file__).parents[1]


def test_each_block_is_run_or_has_a_reason() -> None:
    """Every block is in a language that something runs, is run by a named test, or is named with a reason."""
    assert [f"{block}: {block.language}" for block in UNACCOUNTED] == []
    assert all(NOT_RUN.values())
    assert len(every_block()) > len(PROGRAMS) + len(FRAGMENTS) + len(COMMANDS) > 70


@pytest.mark.parametrize(("page", "language"), RUN_BY)
def test_the_named_test_reads_the_blocks(page: str, language: str) -> None:
    """The page has blocks in the language, and the test reads the page."""
    assert any((block.page, block.language) == (page, language) for block in every_block())
    assert Path(page).name.removesuffix(".md") in (TESTS / RUN_BY[page, language]).read_text("utf-8")


@pytest.mark.parametrize("page", PROGRAMS_RUN_BY)
def test_the_named_test_reads_the_programs(page: str) -> None:
    """The page has an application, and the test reads the page."""
    assert any(is_program(block) and block.page == page for block in every_block())
    assert Path(page).name.removesuffix(".md") in (TESTS / PROGRAMS_RUN_BY[page]).read_text("utf-8")
