"""The program on the page about signing in again does what the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.pages import blocks


def test_the_program_of_the_page(tmp_path: Path) -> None:
    """A user without a fresh login is sent to sign in, and can continue from there, for a while or once."""
    (program,) = blocks("docs/how-to/freshness.md", "python")
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


def test_the_login_of_the_page_redirects_to_this_site_only(tmp_path: Path) -> None:
    """A link with another site in `next` does not send the user there after the login."""
    (program,) = blocks("docs/how-to/freshness.md", "python")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), names)  # noqa: S102  # the page's own program
    for target in (
        *("https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example"),
        *("javascript:alert(1)", "evil.example", "/\t/evil.example", "/\n/evil.example", ""),
    ):
        response = names["app"].test_client().post("/login", query_string={"next": target}, data={"name": "ada"})
        assert response.status_code == 302
        location = response.location.replace("\t", "").replace("\n", "")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\")), target
    response = names["app"].test_client().post("/login?next=/password", data={"name": "ada"})
    assert response.location == "/password"
