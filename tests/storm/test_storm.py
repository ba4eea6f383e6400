"""Short storms: on a fixed set of stores, and on an application with mistakes. ``make storm`` is the long one."""

from __future__ import annotations

import pytest
from storm import report
from storm.campaign import run
from storm.planted import MISTAKES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PLACES = [
    pytest.param("sqlite", True),
    pytest.param("files", False),
    pytest.param("redis", True, marks=pytest.mark.redis),
]


@pytest.mark.parametrize(("place", "sealed"), PLACES)
def test_nothing_is_broken_by_a_storm(place: str, sealed: bool) -> None:
    """Browsers with several requests in flight, while faults follow one another, see no rule broken."""
    storm = run(place, seconds=8, seed="a fixed one", sealed=sealed)
    assert not storm.violations, report.of(storm)
    assert storm.history.faults
    assert sum(request.ok for request in storm.history.requests) > 100


def test_mistakes_in_the_application_are_found() -> None:
    """Each rule that a simple mistake can break finds it in real requests, without any fault."""
    storm = run("sqlite", seconds=4, seed="a fixed one", sealed=False, app="storm.planted:create_app()")
    assert {finding.rule for finding in storm.violations} >= set(MISTAKES), report.of(storm)
