"""The documentation as `make site` builds it, opened as a file: its search answers what people ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.visitor import follow

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SEARCH = ROOT / "build" / "site" / "search.html"

#: The first pages that Sphinx's search shows for a query, on the page that has its index.
FIRST_FIVE = """
    const found = Search._performSearch(...Search._parseQuery(arguments[0])).reverse();
    return [...new Set(found.map((result) => result[0]))].slice(0, 5);
"""


def questions() -> list[tuple[str, str]]:
    """Return the words that people search for, and the page that answers them."""
    lines = (ROOT / "tests" / "docs" / "questions.txt").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return [(query, page) for _, query, page, _ in rows]


@pytest.fixture
def wait(chromium: Chrome) -> WebDriverWait[Chrome]:
    """Return what waits for a page of the site, which must be built."""
    from selenium.webdriver.support.wait import WebDriverWait

    if not SEARCH.exists():
        pytest.skip("the site is not built: run `make site`")
    return WebDriverWait(chromium, 20)


def test_each_question_is_two_clicks_away(chromium: Chrome, wait: WebDriverWait[Chrome]) -> None:
    """For each of thirty questions the page is among the first five results of the search, without a server."""
    chromium.get(SEARCH.as_uri())
    wait.until(lambda browser: browser.execute_script("return Search.hasIndex()"))
    found = {query: chromium.execute_script(FIRST_FIVE, query) for query, _ in questions()}
    assert len(found) == 30
    assert {query: found[query] for query, page in questions() if page not in found[query]} == {}


def test_a_result_opens(chromium: Chrome, wait: WebDriverWait[Chrome]) -> None:
    """The results are shown for a query in the address, and link to pages that are there."""
    chromium.get(f"{SEARCH.as_uri()}?q=celery")
    link = wait.until(lambda browser: browser.find_element("css selector", "ul.search li a"))
    follow(chromium, link)
    assert "Celery" in chromium.title
