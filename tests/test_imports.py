"""The cost and the names of importing Holdfast."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

FRAMEWORKS = ["flask", "werkzeug", "click", "jinja2"]
DRIVERS = [
    "redis",
    "pymemcache",
    "pymongo",
    "boto3",
    "sqlalchemy",
    "cryptography",
    "prometheus_client",
    "opentelemetry",
    "ua_parser",
]

#: Modules that are loaded when they are used.
UNUSED = [
    "asyncio",
    "concurrent.futures",
    "holdfast.cli",
    "holdfast.contrib",
    "holdfast.flask.command_group",
    "holdfast.testing",
    "multiprocessing",
    "sqlite3",
    "subprocess",
]
MEMORY_APPLICATION = """
import flask, holdfast.flask
app = flask.Flask("app")
app.config["SESSION_STORE"] = "memory://"
holdfast.flask.Session(app)
"""


def modules() -> list[str]:
    """Return the name of every module of the package, itself included."""
    root = Path(holdfast.__file__).parent
    files = [file.relative_to(root.parent) for file in root.rglob("*.py") if file.name != "__main__.py"]
    return sorted(".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files)


def loaded_by(statement: str, names: list[str]) -> list[str]:
    """Return those of *names* that a fresh interpreter has loaded after *statement*."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_import_loads_no_framework_and_no_driver() -> None:
    """Importing the package loads neither Flask nor a driver."""
    assert loaded_by("import holdfast", FRAMEWORKS + DRIVERS) == []


def test_import_of_every_public_name_loads_no_framework_and_no_driver() -> None:
    """Using every name that the package offers loads neither Flask nor a driver."""
    assert loaded_by("from holdfast import *", FRAMEWORKS + DRIVERS) == []


def test_the_front_end_loads_no_driver() -> None:
    """An application on the default store never loads the driver of another."""
    assert loaded_by("import holdfast.flask", DRIVERS) == []


@pytest.mark.parametrize("statement", ["import holdfast.flask", MEMORY_APPLICATION], ids=["import", "application"])
def test_a_web_worker_loads_what_it_uses(statement: str) -> None:
    """The front end loads no command, page, doctor, conformance suite, event loop, thread pool or store but its own."""
    assert loaded_by(statement, UNUSED) == []


def test_a_web_worker_loads_few_modules() -> None:
    """An application on the default store loads at most 80 modules of Holdfast, and no command among them."""
    default = MEMORY_APPLICATION.replace("memory://", "sqlite:///sessions.db")
    found = loaded_by(default, modules())
    assert len(found) <= 80
    assert not [name for name in found if name.split(".")[1:2] in (["cli"], ["contrib"], ["testing"])]


def _bare(name: str) -> list[str]:
    """Return the public names that a module defines without a docstring, and its own where it has none."""
    module = importlib.import_module(name)
    own = [
        f"{name}.{public}"
        for public, value in vars(module).items()
        if not public.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
        and not vars(value).get("__doc__", value.__doc__)
    ]
    return own if module.__doc__ else [name, *own]


def test_public_names_have_docstrings() -> None:
    """Every module, and every public class and function defined in it, has a docstring."""
    assert [bare for name in modules() for bare in _bare(name)] == []


def test_all_names_exist() -> None:
    """Every name in the ``__all__`` of a module exists."""
    found = [
        (module, name) for module in map(importlib.import_module, modules()) for name in getattr(module, "__all__", [])
    ]
    assert found
    assert [(module.__name__, name) for module, name in found if not hasattr(module, name)] == []
