"""Let it storm on every store, or on some: ``make storm``, ``make storm ARGS="--seconds 10 sqlite redis"``."""

from __future__ import annotations

import argparse
import platform
import secrets
import sys
from itertools import product

from storm import report
from storm.campaign import APPLICATION, run
from storm.places import PLACES


def main() -> int:
    """Print what came of each storm, and return 1 when a rule was broken."""
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("places", nargs="*", choices=[*PLACES, []], help=f"some of {', '.join(PLACES)} (all)")
    parser.add_argument("--seconds", type=float, help="for each store, sealed and not (ten minutes in all)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats the schedule of a run")
    parser.add_argument("--sealed", choices=["yes", "no", "both"], default="both", help="seal the sessions (both)")
    parser.add_argument("--app", default=APPLICATION, help="another application, such as one with a mistake")
    parser.add_argument("--whole", action="store_true", help="print all requests of the browsers of a violation")
    parser.add_argument("--log", action="store_true", help="print what the workers wrote")
    options = parser.parse_args()
    places = options.places or list(PLACES)
    sealed = {"yes": [True], "no": [False], "both": [False, True]}[options.sealed]
    seconds = options.seconds or 600 / (len(places) * len(sealed))
    sys.stdout.write(f"Python {platform.python_version()}, {platform.machine()}; seed {options.seed}; ")
    sys.stdout.write(f"{seconds:.0f} s on each of {len(places)} stores{', sealed and not' * (len(sealed) > 1)}\n\n")
    storms = []
    for place, seal in product(places, sealed):
        storm = run(place, seconds=seconds, seed=options.seed, sealed=seal, app=options.app)
        sys.stdout.write(report.of(storm, whole=options.whole) + (storm.log if options.log else ""))
        sys.stdout.flush()
        storms.append(storm)
    sys.stdout.write(report.summary(storms))
    return int(any(storm.violations for storm in storms))


if __name__ == "__main__":
    raise SystemExit(main())
