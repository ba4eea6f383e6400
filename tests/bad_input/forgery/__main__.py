"""Try to forge a thousand of each kind, and print how often it worked: ``make forgery``."""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import time
from importlib.metadata import version

from bad_input.forgery.run import KINDS, forge


def main() -> int:
    """Print a line for each kind; return 1 when a forgery was accepted."""
    parser = argparse.ArgumentParser(prog="make forgery", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1000, help="how many of each kind (1000)")
    count = parser.parse_args().count
    logging.disable()
    python, cryptography = platform.python_version(), version("cryptography")
    sys.stdout.write(f"Python {python}, cryptography {cryptography}; every forgery of {count:,} of each kind\n\n")
    sys.stdout.write(f"{'kind':18} {'forgeries':>12} {'accepted':>9}   share accepted, at 95 %\n")
    worked = False
    for make in KINDS:
        started = time.perf_counter()
        figure = forge(make(count))
        worked = worked or bool(figure.accepted)
        took = time.perf_counter() - started
        counts = f"{figure.tried:12,} {len(figure.accepted):9,}"
        sys.stdout.write(f"{figure.name:18} {counts}   below {figure.bound:.1e}   ({took:.0f} s)\n")
        sys.stdout.flush()
    return int(worked)


if __name__ == "__main__":
    raise SystemExit(main())
