"""Check that every public name, and what it inherits, has a complete type for its users: ``pyright --verifytypes``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator

from public_names import objects, where_defined


def report() -> list[dict[str, object]]:
    """Return what pyright reports of each symbol of the package that this Python imports."""
    options = ["--pythonpath", sys.executable, "--verifytypes", "holdfast", "--ignoreexternal", "--outputjson"]
    done = subprocess.run([sys.executable, "-m", "pyright", *options], capture_output=True, text=True, check=False)
    symbols: list[dict[str, object]] = json.loads(done.stdout)["typeCompleteness"]["symbols"]
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
    faults = list(incomplete(symbols))
    print(*faults, f"Checked {len(symbols)} symbols: {len(faults) or 'no'} incomplete types.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
