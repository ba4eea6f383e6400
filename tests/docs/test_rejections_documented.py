"""The page about cookies that are not accepted names every reason, and its program does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from support.pages import blocks

from holdfast.events import RejectReason
from holdfast.records.tokens import new_token

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "rejections.md"


def test_every_reason_is_on_the_page() -> None:
    """Each reason has its place in the table."""
    page = PAGE.read_text("utf-8")
    assert [reason for reason in get_args(RejectReason) if f"`{reason}`" not in page] == []


def test_the_program_of_the_page(tmp_path: Path) -> None:
    """A client that sends unknown ids is blocked after twenty, and others are not."""
    (program,) = blocks("docs/how-to/rejections.md", "python")
    namespace: dict[str, Any] = {"__name__": "page"}
    program = program.replace("time.time()", "1_000_000").replace(
        "Flask(__name__)", f"Flask('shop', instance_path={str(tmp_path)!r})"
    )
    exec(program, namespace)  # noqa: S102  # the page's own program
    browser = namespace["app"].test_client(use_cookies=False)

    def visit(address: str) -> int:
        cookie = {"Cookie": f"session={new_token()}"}
        status: int = browser.get("/", headers=cookie, environ_base={"REMOTE_ADDR": address}).status_code
        return status

    assert [visit("192.0.2.1") for _ in range(30)] == [200] * 20 + [429] * 10
    assert visit("192.0.2.2") == 200
    assert browser.get("/").status_code == 200
