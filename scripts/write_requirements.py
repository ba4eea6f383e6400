"""Generate the tables of docs/explanation/requirements.md from the security tests: the requirements and their tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from security.catalogue import catalogue, filled, natural, table  # noqa: E402  # the tests are no installed package
from security.out_of_scope import OUT_OF_SCOPE  # noqa: E402

PAGE = ROOT / "docs" / "explanation" / "requirements.md"

#: The standards, by the prefixes of their ids.
STANDARDS = {
    "ASVS ": "OWASP ASVS 5.0",
    "ASVS 4.0 ": "OWASP ASVS 4.0.3",
    "OWASP ": "OWASP Session Management Cheat Sheet",
    "NIST ": "NIST SP 800-63B-4",
    "RFC 6265bis": "RFC 6265bis, layered cookies, CHIPS",
    "Catalogue ": "Bad input",
}

#: The text before the tables of some of them.
ABOUT = {
    "Catalogue ": """\
A catalogue of bad input. C is for the value of a cookie, D for several cookies and their names; P, K, N, S and R for
attacks on files, memcached, MongoDB, SQL and Redis, and for bad data in them; T is for times, G for stored records, W
for values that an application writes, H for HTTP itself, A for guesses, F for faults of a store. Unless a row says
otherwise the response is the view's own for a visitor: no error, no cookie, one signal, at most one record loaded and
none written."""
}


def standard_of(id_: str) -> str:
    """Return the prefix of the standard of *id_*; empty if there is none."""
    return max((beginning for beginning in STANDARDS if id_.startswith(beginning)), key=len, default="")


def tests_of(standard: str) -> str:
    """Return the table of one standard's requirements."""
    rows = sorted(
        {
            (id_, each.row.says, each.holds, each.link, str(len(each.row.mutants)))
            for each in catalogue()
            for id_ in each.row.ids
            if standard_of(id_) == standard
        },
        key=lambda row: (natural(row[0]), row[3]),
    )
    shown = [(id_.removeprefix(standard).strip(", "), *rest) for id_, *rest in rows]
    return table(("requirement", "requires", "behaviour", "test", "bugs"), shown)


def others() -> str:
    """Return the table of what is out of scope."""
    return table(("requirement", "task of"), [(id_, OUT_OF_SCOPE[id_]) for id_ in sorted(OUT_OF_SCOPE, key=natural)])


def written(page: str) -> str:
    """Return *page* with its generated parts up to date."""
    tables = "\n\n".join(
        "\n\n".join([f"## {title}", *[ABOUT[of] for of in ABOUT if of == beginning], tests_of(beginning)])
        for beginning, title in STANDARDS.items()
    )
    return filled(filled(page, "tests", tables), "others", others())


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
