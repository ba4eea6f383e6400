"""The shared parts of all tests: the rule for programs that this machine may lack, and shared caches."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from support import seams
from support.servers import find_program
from support.templates import CompiledTemplates

pytest_plugins = ["support.fixtures", "holdfast.testing.plugin"]

# Rewriting every module's assertions takes 10 s. Python keeps what comes of it, even if its environment says not to.
sys.dont_write_bytecode = False
# Hypothesis imports trio only for what it adds to trio's own tests.
os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")
# No test trusts an authority of the system, and PyMySQL loads all of them, for 40 ms, for each of its connections.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)

#: The programs that a test with the marker needs, unless ``HOLDFAST_TEST_<MARKER>_URL`` names a running server.
PROGRAMS = {
    "browser": ["chromium", "chromedriver"],
    "redis": ["redis-server"],
    "memcached": ["memcached"],
    "mongodb": ["mongod"],
    "dynamodb": ["moto_server"],
    "dynalite": ["dynalite"],
    "mariadb": ["mariadbd"],
    "postgresql": ["initdb", "postgres"],
    "pgbouncer": ["initdb", "postgres", "pgbouncer"],
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


@pytest.hookimpl(optionalhook=True)  # some runs are without xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes share the tests: one more than there are processors, since outages are waited for.

    At most four, as each of them starts servers of its own.
    """
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_configure() -> None:
    """Set what each test begins with.

    Examples of Hypothesis may take any time, each template is compiled once for all the applications that the tests
    make, and each of these counts its tokens from 1.
    """
    # A machine with too much to do is slow, and no example is at fault.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    seams.FIRST_TOKEN_BELOW.plant(pytest.MonkeyPatch(), 1)
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage: there is none, and what is found stays."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files of tests that may take minutes first, so that no process is left alone with one of them in the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


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
