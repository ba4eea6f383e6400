"""The Python programs of the docs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.pages import blocks

PAGES = [
    "docs/how-to/composition.md",
    "docs/how-to/deploy.md",
    "docs/how-to/observability.md",
    "docs/reference/backends/sqlite.md",
    "docs/reference/backends/files.md",
    "docs/reference/backends/json.md",
    "docs/reference/backends/memory.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_the_programs_of_a_page_serve_a_request(page: str, tmp_path: Path) -> None:
    """Each complete application of the page starts, and answers each of its views twice with one session."""
    programs = [block for block in blocks(page, "python") if "Flask(__name__)" in block]
    assert programs
    for number, program in enumerate(programs):
        namespace: dict[str, Any] = {"__name__": f"page{number}"}
        exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), namespace)  # noqa: S102  # the page's own program
        client = namespace["app"].test_client()
        for rule in namespace["app"].url_map.iter_rules():
            if rule.endpoint != "static":
                assert [client.get(rule.rule).status_code for _ in range(2)] == [200, 200]
