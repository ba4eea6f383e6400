"""Print which source files a request passes, from the view to the store and back: `make trace`.

Files are the distinct source files of Holdfast whose functions are called. Hops count how often the next function that
is called, or resumed, is in another file than the last. A whole request is traced: lookup, view and response.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask

import holdfast
from holdfast.flask import Session, session
from holdfast.sessions.flows import context

PACKAGE = Path(holdfast.__file__).parent

#: What a request does, and how many files and hops it may take at most.
LIMITS = {"read": (12, 30), "write": (14, 36), "login": (18, 60)}


def application(store: str) -> Flask:
    """Return an application whose views do one thing each, and whose first sessions are no occasion for a purge."""
    context._FIRST_TOKEN_BELOW = 1  # noqa: SLF001  # nobody else needs to set it
    app = Flask("trace")
    app.config.update(SESSION_STORE=store)
    Session(app)

    def view(name: str, do: Callable[[], object]) -> None:
        app.add_url_rule(f"/{name}", name, lambda: str(do()))

    view("read", lambda: session["value"])
    view("write", lambda: session.update(value=1))
    view("login", lambda: session.bind("ada"))
    return app


def trace(call: Callable[[], object]) -> list[tuple[str, str]]:
    """Return the functions of Holdfast that *call* passes, in order: each with its file."""
    passed: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            passed.append((str(Path(code.co_filename).relative_to(PACKAGE)), code.co_name))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return passed


def paths(store: str) -> dict[str, list[tuple[str, str]]]:
    """Return the path of each kind of request on *store*."""
    app = application(store)
    found = {}
    for _ in range(2):  # what is done once in a process is done in the first round
        browser = app.test_client()
        for name in ("write", "read", "login"):
            found[name] = trace(partial(browser.get, f"/{name}"))
    return found


def main() -> int:
    """Print the numbers for two stores; return 1 if a limit is exceeded on the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print each path too")
    listed = parser.parse_args().list
    exceeded = False
    with tempfile.TemporaryDirectory() as folder:
        for store in ("memory://", f"sqlite:///{folder}/sessions.db"):
            print(f"{store.partition(':')[0]:8}calls  files (limit)  hops (limit)")
            for name, path in paths(store).items():
                visits = [
                    (file, [function for _, function in visit]) for file, visit in groupby(path, lambda step: step[0])
                ]
                files, hops = len({file for file, _ in visits}), len(visits) - 1
                most_files, most_hops = LIMITS[name]
                print(f"  {name:6}{len(path):5}  {files:5} {most_files:7}  {hops:4} {most_hops:7}")
                if store == "memory://":
                    exceeded |= files > most_files or hops > most_hops
                for file, functions in visits if listed else ():
                    print(f"      {file:32}{', '.join(functions)}")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
