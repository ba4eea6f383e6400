"""How Sphinx builds the documentation: `make site`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "src"))

from sphinx.ext.napoleon.docstring import GoogleDocstring  # noqa: E402

import holdfast  # noqa: E402  # the one of this folder

PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
REPOSITORY = re.findall(r'^Repository = "(.+)"', PROJECT, re.MULTILINE)[0]

project = "Holdfast"
author = copyright = "The Holdfast authors"  # noqa: A001  # Sphinx's name for it
version = release = holdfast.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
templates_path: list[str] = []
# A name in single backticks is a link to its entry, or code if it has none.
default_role = "py:obj"
# `Record` and others can be imported from two public modules, so a link to them has two targets.
suppress_warnings = ["ref.python"]

myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# A colon in the first line of a property is a colon, and no type before it.
GoogleDocstring._parse_attribute_docstring = lambda _: []  # type: ignore[method-assign]  # noqa: SLF001  # no setting does

# Furo: readable on phones, light and dark, no request to another host, and in use by pip, attrs, urllib3 and black.
html_theme = "furo"
html_title = f"Holdfast {release}"
html_copy_source = False
html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": "docs/"}

API = DOCS / "reference" / "api"
# Each page has the public names of one module, as docs/reference/public-api.md lists them.
MODULE = """\
{module}
{line}

.. automodule:: {module}
   :members:
   :exclude-members: {others}
   :inherited-members: dict, tuple, Exception, object
"""
# What autodoc cannot read: a proxy, and data that another module documents. Their types and what they are.
BY_HAND = {
    "holdfast.flask.session": (
        "FlaskSession",
        "The same proxy as `flask.session`, typed for editors and type checkers.",
    ),
    "holdfast.stores.contract.Version": ("int | str | bytes", "The version of a record: each write makes another one."),
    "holdfast.contrib.doctor.Status": ("str", '``"met"``, ``"not met"``, ``"manual"`` or ``"not applicable"``.'),
}


def write_api(app: Sphinx, config: Any) -> None:
    """Write a page for each public module, whose entries autodoc takes from the docstrings."""
    del app, config
    API.mkdir(exist_ok=True)
    page = (DOCS / "reference" / "public-api.md").read_text("utf-8")
    known: dict[str, str] = {}
    for module, cell in re.findall(r"^\| `([\w.]+)` \| (.+) \|$", page, re.MULTILINE):
        names = dict.fromkeys(re.findall(r"`(\w+)`", cell))
        others = [name for name in names if known.setdefault(name, module) != module or f"{module}.{name}" in BY_HAND]
        text = MODULE.format(module=module, line="=" * len(module), others=", ".join(others))
        for name in names:
            if f"{module}.{name}" in BY_HAND:
                kind, meaning = BY_HAND[f"{module}.{name}"]
                text += f"\n.. py:data:: {name}\n   :type: {kind}\n\n   {meaning}\n"
        also = ", ".join(f"`{known[name]}.{name}`" for name in names if known[name] != module)
        text += f"\nAlso here: {also}.\n" if also else ""
        path = API / f"{module}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def link_sources(app: Sphinx, name: str, content: list[str]) -> None:
    """Lead links to files outside of docs/ to the repository."""
    del app
    folder = (DOCS / name).parent

    def absolute(match: re.Match[str]) -> str:
        path = (folder / match[1]).resolve()
        return match[0] if path.is_relative_to(DOCS) else f"]({REPOSITORY}/blob/main/{path.relative_to(ROOT)})"

    content[0] = re.sub(r"\]\((\.\.?/[^)\s#]+)\)", absolute, content[0])


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("config-inited", write_api)
    app.connect("source-read", link_sources)
