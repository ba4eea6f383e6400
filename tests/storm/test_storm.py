"""Short storms: on a fixed set of stores, and on an application with mistakes. ``make storm`` is the long one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest
from storm import report
from storm.campaign import Storm, run
from storm.planted import MISTAKES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PLACES = [
    pytest.param("sqlite", True),
    pytest.param("files", False),
    pytest.param("redis", True, marks=pytest.mark.redis),
    pytest.param("sentinel", False, marks=pytest.mark.redis),
    pytest.param("cluster", True, marks=pytest.mark.redis),
    pytest.param("pgbouncer", False, marks=pytest.mark.pgbouncer),
    pytest.param("mariadb", True, marks=pytest.mark.mariadb),
    pytest.param("mongodb", False, marks=pytest.mark.mongodb),
    pytest.param("memcached", True, marks=pytest.mark.memcached),
]


@pytest.mark.parametrize(("place", "sealed"), PLACES)
def test_nothing_is_broken_by_a_storm(place: str, sealed: bool, unavailable: Callable[[str], NoReturn]) -> None:
    """Browsers with several requests in flight, while faults follow one another, see no rule broken."""
    try:
        storm = run(place, seconds=5, seed="a fixed one", sealed=sealed)
    except FileNotFoundError as error:
        unavailable(str(error))
    assert not storm.violations, report.of(storm)
    assert storm.history.faults
    assert _answered(storm) > 100


def test_mistakes_in_the_application_are_found() -> None:
    """Each rule that a simple mistake can break finds it in real requests, without any fault."""
    storm = run("sqlite", seconds=4, seed="a fixed one", sealed=False, app="storm.planted:create_app()")
    assert {finding.rule for finding in storm.violations} >= set(MISTAKES), report.of(storm)


def test_a_mistake_in_the_store_is_found() -> None:
    """A store that does not compare versions loses changes and gives coupons twice, and that is found."""
    storm = run("sqlite", seconds=4, seed="one", sealed=False, app="storm.planted:create_careless_app()")
    assert {finding.rule for finding in storm.violations} >= {"change lost", "coupon given twice"}, report.of(storm)


def _answered(storm: Storm) -> int:
    return sum(request.ok for request in storm.history.requests)
