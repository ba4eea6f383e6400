"""Explore more than the tests do, and print how much that was: ``PYTHONPATH=tests python -m explorer``.

Every pair as in the tests, every pair of which one runs on another kind of host, and every triple on a store that
rotates in one step and on one that takes many.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, product

import pytest
from explorer.roles import REVOKE_ALL, REVOKE_FROM_THERE, REVOKE_OTHERS, ROLES
from explorer.scenarios import USERS, backends_for, groups, run
from explorer.search import ExplorationStats, Violation
from explorer.stores import Atomic, Scattered
from explorer.test_triples import ANONYMOUS, SIGNED_IN
from explorer.world import Host, Mint, Role
from support import seams

from holdfast.clock import SECOND

#: Other kinds of hosts. Those whose clocks differ do not meet the ends of all of a user's sessions.
_NEAR = Host(near=True)
_OFF = (Host(ahead=5 * SECOND), Host(ahead=-5 * SECOND))

_HEAVY = (REVOKE_ALL, REVOKE_FROM_THERE, REVOKE_OTHERS)

Scenario = tuple[tuple[Role, ...], type[Atomic], "str | None"]


def _pairs() -> Iterable[Scenario]:
    return ((pair, backend, user) for pair in groups(2) for backend in backends_for(pair) for user in USERS)


def _hosts() -> Iterable[Scenario]:
    for role, other, user in product(ROLES, ROLES, USERS):
        yield (replace(role, host=_NEAR), other), Atomic, user
        if not {role, other}.intersection(_HEAVY):
            for host in _OFF:
                yield (replace(role, host=host), other), Atomic, user


def _chosen() -> Iterable[Scenario]:
    signed_in = ((triple, backend, "alice") for triple in SIGNED_IN for backend in (Atomic, Scattered))
    anonymous = ((triple, backend, None) for triple in ANONYMOUS for backend in (Atomic, Scattered))
    return chain(signed_in, anonymous)


def _triples(backend: type[Atomic]) -> Iterable[Scenario]:
    """Return all triples but those in which two or three end all of a user's sessions, which take too long."""
    light = (triple for triple in groups(3) if sum(map(triple.count, _HEAVY)) < 2)
    return ((triple, backend, user) for triple in light for user in USERS)


def _report(title: str, scenarios: Iterable[Scenario], *, reduce: bool) -> int:
    """Explore *scenarios*, print one line, and return how many of them failed."""
    started, tally, number, failed = time.perf_counter(), ExplorationStats(), 0, 0
    for roles, backend, user in scenarios:
        number += 1
        try:
            tally += run(roles, backend, user, reduce=reduce)
        except Violation as violation:
            failed += 1
            names = ", ".join(role.name for role in roles)
            sys.stdout.write(f"\n{names}; {backend.__name__}; user {user}\n{violation}\n\n")
    took = time.perf_counter() - started
    sys.stdout.write(
        f"{title:20} {number:6,} scenarios {tally.schedules:10,} schedules, at most {tally.longest} steps,"
        f" {failed} failed, {took:.0f} s\n"
    )
    sys.stdout.flush()
    return failed


def main() -> int:
    """Run the campaign; return 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="explorer", description=__doc__)
    parser.add_argument("part", nargs="*", help="pairs, hosts, chosen, atomic, stepwise; default: all")
    parser.add_argument("--all-orders", action="store_true", help="do not leave out the order of calls that commute")
    options = parser.parse_args()
    sys.stdout.write(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n")
    parts = {
        "pairs": ("pairs", _pairs()),
        "hosts": ("pairs, other hosts", _hosts()),
        "chosen": ("chosen triples", _chosen()),
        "atomic": ("triples, atomic", _triples(Atomic)),
        "stepwise": ("triples, in steps", _triples(Scattered)),
    }
    reduce = not options.all_orders
    with pytest.MonkeyPatch.context() as patch:
        seams.TOKEN_RANDOMNESS.plant(patch, Mint)
        return 1 if sum(_report(*parts[part], reduce=reduce) for part in options.part or parts) else 0


if __name__ == "__main__":
    sys.exit(main())
