"""The program on the page about signing in again does what the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.pages import blocks


def test_the_program_of_the_page(tmp_path: Path) -> None:
    """A user without a fresh login is sent to sign in, and can continue from there, for a while or once."""
    (program,) = blocks("docs/freshness.md", "python")
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), namespace)  # noqa: S102  # the page's own program
    browser = namespace["app"].test_client()
    for path in ("/password", "/transfer"):
        sent = browser.get(path)
        assert sent.status_code in {302, 303}
        assert sent.location == f"/login?next={path}"
        assert browser.post(sent.location, data={"name": "ada"}).location == path
        pages = ("/password", "/transfer", "/transfer")
        assert [browser.get(page).status_code == 200 for page in pages] == [True, True, False]
