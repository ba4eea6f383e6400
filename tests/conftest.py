"""What every test shares: the one rule for programs that this machine may lack."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest
from support.fixtures import (  # noqa: F401 (pytest finds the fixtures here)
    mariadb_server,
    mariadb_url,
    memcached_server,
    mongodb_replica_set_server,
    mongodb_server,
    postgresql_server,
    postgresql_url,
    redis_cluster_server,
    redis_sentinel_server,
    redis_server,
    sql_url,
    sqlite_url,
)
from support.servers import find_program

#: The programs that a test with the marker needs, unless ``HOLDFAST_TEST_<MARKER>_URL`` names a running server.
PROGRAMS = {
    "browser": ["chromium", "chromedriver"],
    "redis": ["redis-server"],
    "memcached": ["memcached"],
    "mongodb": ["mongod"],
    "mariadb": ["mariadbd"],
    "postgresql": ["initdb", "postgres"],
}


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("HOLDFAST_TEST_REQUIRE") == "1":
        pytest.fail(f"{reason}, and HOLDFAST_TEST_REQUIRE=1 lets no test skip", pytrace=False)
    pytest.skip(reason)


def _require(program: str) -> str:
    path = find_program(program)
    if path is None:
        _unavailable(f"{program} is not installed")
    return path


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test, before its fixtures start, when a program that its marker needs is missing."""
    for marker, programs in PROGRAMS.items():
        if item.get_closest_marker(marker) and not os.environ.get(f"HOLDFAST_TEST_{marker.upper()}_URL"):
            for program in programs:
                _require(program)


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """Return a function: the path of the program of that name; where it is missing, the test skips or fails."""
    return _require


@pytest.fixture(scope="session")
def unavailable() -> Callable[[str], NoReturn]:
    """Return a function that skips the test for the reason given; ``HOLDFAST_TEST_REQUIRE=1`` makes it fail."""
    return _unavailable
