"""The page of signals is what the code sends."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

from support.pages import table, text_of

import holdfast

SIGNALS = {
    row["signal"].strip("`"): re.findall(r"`(\w+)`", row["arguments"])
    for row in table("docs/reference/signals.md", "sent when")
}


def sent() -> dict[str, set[str]]:
    """Return the arguments of each signal, as the code emits it."""
    found: dict[str, set[str]] = {name: set() for name in SIGNALS}
    for file in Path(holdfast.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "emit":
                name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
                if name in found:
                    found[str(name)] |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return found


def test_the_page_has_the_arguments_of_each_signal() -> None:
    """Each argument in the table is sent by some part of the code, and no other is."""
    assert {name: set(arguments) for name, arguments in SIGNALS.items()} == sent()


def test_the_table_is_of_today() -> None:
    """The page is what scripts/write_signals.py writes."""
    page = text_of("docs/reference/signals.md")
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "write_signals.py"))
    assert script["written"](page) == page


def test_the_page_explains_every_argument() -> None:
    """The second table has a row for each argument."""
    explained = {row["argument"].strip("`") for row in table("docs/reference/signals.md", "value")}
    assert explained == {argument for arguments in SIGNALS.values() for argument in arguments}
