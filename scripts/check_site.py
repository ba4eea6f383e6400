"""Check the built site: each link inside of it leads to a page and an anchor, and every public name has an entry.

The search of the site is tested in a browser: tests/browser/test_site_in_browser.py.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from public_names import names


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


def main(site: Path) -> int:
    """Print every fault found; return 1 if there is one."""
    faults = [*link_faults(site), *name_faults(site)]
    print(
        *faults, f"Checked {len(list(site.rglob('*.html')))} pages of the site: {len(faults) or 'no'} faults.", sep="\n"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
