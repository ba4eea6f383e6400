"""Check that every public name, and what it inherits, has a complete type for its users: ``pyright --verifytypes``.

Where pyright cannot start, since it needs node and npm's registry, nothing is checked; with ``--required`` that fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from public_names import objects, where_defined


def report() -> list[dict[str, object]] | None:
    """Return what pyright reports of each symbol of the package that this Python imports; None if it did not start."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "holdfast", "--ignoreexternal", "--outputjson"]
    # It looks for packages where the `python` of the path does, whatever --pythonpath says.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    try:
        symbols: list[dict[str, object]] = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    except ValueError:
        print(f"The types of public names are not checked: pyright did not start. {done.stderr.strip()[-200:]}")
        return None
    return symbols


def incomplete(symbols: Iterable[dict[str, object]]) -> Iterator[str]:
    """Yield the public ones of *symbols* whose type is unknown or ambiguous."""
    public = {name for name, _ in objects()} | {name for _, named in objects() for name in where_defined(named)}
    for symbol in symbols:
        name = str(symbol["name"])
        if symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]:
            continue
        if any(name == each or name.startswith(f"{each}.") for each in public):
            yield f"{name}: {symbol['diagnostics']}"


def main() -> int:
    """Print every incomplete type; return 1 if there is one."""
    symbols = report()
    if symbols is None:
        return 1 if "--required" in sys.argv else 0
    faults = list(incomplete(symbols)) if symbols else ["pyright found no package with types"]
    print(*faults, f"Checked {len(symbols)} symbols: {len(faults) or 'no'} incomplete types.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
