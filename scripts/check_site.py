"""Check the built site: links inside of it, an entry for every public name, and each question answered in two clicks.

A question counts as answered if its page is among the first five results of the site's search for the words that the
question's line has, by the rules of Sphinx's own search, so that the second click opens it.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from public_names import names
from sphinx.search.en import SearchEnglish

QUESTIONS = Path(__file__).resolve().parent.parent / "tests" / "docs" / "questions.txt"
SHOWN = 5
ENGLISH = SearchEnglish({})


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the anchor and the link of a tag."""
        found = dict(attrs)
        self.anchors.add(found.get("id") or "")
        link = found.get("href") if tag == "a" else found.get("src")
        if link and not re.match(r"[a-z]+:|//", link):
            self.links.add(unquote(link))


def link_faults(site: Path) -> Iterator[str]:
    """Yield a sentence for each link between pages of *site* that leads nowhere, also when it is opened as a file."""
    pages = {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in sorted(page.links):
            name, _, anchor = link.partition("#")
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            if not target.is_file():
                yield f"{path.relative_to(site)}: the link to {link} leads to no file"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{path.relative_to(site)}: the link to {link} leads to no anchor"


def name_faults(site: Path) -> Iterator[str]:
    """Yield a sentence for each public name without an entry of its own."""
    compressed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entries = set(re.findall(r"^(\S+) py:", zlib.decompress(compressed).decode(), re.MULTILINE))
    first: dict[str, str] = {}
    for module, found in names().items():
        # A name of several modules has its entry in the first of them.
        full = {first.setdefault(name, f"{module}.{name}") for name in found}
        yield from (f"{name} has no entry" for name in sorted(full - entries))


def scores_of(index: Mapping[str, Any], word: str) -> dict[int, float]:
    """Return the score of each page that has *word*, or if none has it, a longer word that contains it."""
    scores: dict[int, float] = {}
    for table, whole, part in ((index["terms"], 5, 2), (index["titleterms"], 15, 7)):
        found = [word] if word in table else [term for term in table if len(word) > 2 and word in term]
        for term in found:
            pages = [table[term]] if isinstance(table[term], int) else table[term]
            scores.update({page: max(scores.get(page, 0), whole if term == word else part) for page in pages})
    return scores


def results(index: Mapping[str, Any], query: str) -> list[str]:
    """Return the pages that the site's search finds for *query*, the best first: those that have every word."""
    words = [word for word in re.findall(r"\w+", query.lower()) if word not in ENGLISH.stopwords]
    each = [scores_of(index, ENGLISH.stem(word)) for word in words]
    total = {page: sum(scores[page] for scores in each) for page in set.intersection(*map(set, each))}
    for title, places in index["alltitles"].items():
        if query.lower() in title.lower() and len(query) >= len(title) / 2:
            for page, _ in places:
                total[page] = max(total.get(page, 0), 15 * len(query) / len(title) + 15)
    return [index["docnames"][page] for page in sorted(total, key=lambda page: (-total[page], index["titles"][page]))]


def question_faults(site: Path) -> Iterator[str]:
    """Yield a sentence for each question whose page is not among the first results."""
    index = json.loads((site / "searchindex.js").read_text("utf-8").partition("setIndex(")[2].rstrip()[:-1])
    for line in QUESTIONS.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            question, query, page, _ = line.split(" | ")
            if page not in results(index, query)[:SHOWN]:
                yield f"{question} {query!r} finds {results(index, query)[:SHOWN]} and not {page}"


def main(site: Path) -> int:
    """Print every fault found; return 1 if there is one."""
    faults = [*link_faults(site), *name_faults(site), *question_faults(site)]
    print(
        *faults, f"Checked {len(list(site.rglob('*.html')))} pages of the site: {len(faults) or 'no'} faults.", sep="\n"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
