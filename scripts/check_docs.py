"""Check the Markdown files: every link and anchor in this repository has a target, every Python block compiles.

A link to the repository's own address is checked too. The README has no others, so that all work on a package index.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"(?:\[[^\]]*\]\(|^\[[\w-]+\]: |(?:src|href)=\")(?P<target>[^)\s\"]+)", re.MULTILINE)
[REPOSITORY] = re.findall(r'^Repository = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
OWN = re.compile(rf"({REPOSITORY}/blob|{REPOSITORY.replace('github', 'raw.githubusercontent')})/main/")
HEADING = re.compile(r"^#+ +(?P<title>.+?) *$", re.MULTILINE)


def prose(text: str) -> str:
    """Return *text* without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return GitHub's anchors of the headings of *text*."""
    titles = (match["title"] for match in HEADING.finditer(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def link_faults(path: Path, text: str) -> Iterator[str]:
    """Yield one sentence for each broken link of *text*. Links to other sites are not checked."""
    for match in LINK.finditer(prose(text)):
        target = match["target"].strip("<>")
        own = OWN.match(target)
        if not own and (re.match(r"[a-z]+:", target) or "{{" in target):
            continue
        if not own and path.name == "README.md":
            yield f"the link to {target} does not work on a package index"
        name, _, anchor = target[own.end() if own else 0 :].partition("#")
        page = (ROOT if own else path.parent) / name if name else path
        if not page.exists():
            yield f"the link to {target} leads to no file"
        elif anchor and page.suffix == ".md" and anchor not in anchors(page.read_text("utf-8")):
            yield f"the link to {target} leads to no heading"


def unlinked(index: Path) -> Iterator[str]:
    """Yield one sentence for each page in the folders of *index* that it does not link to."""
    links = {match["target"].partition("#")[0] for match in LINK.finditer(index.read_text("utf-8"))}
    pages = {str(page.relative_to(index.parent)) for page in index.parent.glob("*/**/*.md")}
    yield from (f"there is no link to {page}" for page in sorted(pages - links))


def code_faults(text: str) -> Iterator[str]:
    """Yield one sentence for each Python block of *text* that does not compile."""
    for match in FENCE.finditer(text):
        if match["language"] in {"python", "py"}:
            try:
                compile(textwrap.dedent(match["code"]), "block", "exec", dont_inherit=True)
            except SyntaxError as error:
                line = text.count("\n", 0, match.start("code")) + (error.lineno or 1)
                yield f"the Python block does not compile at line {line}: {error.msg}"


def main() -> int:
    """Print every fault found; return 1 if there is one."""
    pages = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
    faults = [
        f"{page.relative_to(ROOT)}: {fault}"
        for page in pages
        for text in [page.read_text("utf-8")]
        for fault in [*link_faults(page, text), *code_faults(text)]
    ]
    faults += [f"docs/index.md: {fault}" for fault in unlinked(ROOT / "docs" / "index.md")]
    print(*faults, f"Checked {len(pages)} pages: {len(faults) or 'no'} faults.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
