"""Runs each security test on sound code, on every store it asks for, and then once with each bug that it must catch.

A test that takes the fixture `place` runs on every kind of store; with a planted bug it runs in memory. A planted bug
that the test does not notice is a failure: the mutant survived.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from security.rows import Mutant, mutants_of
from support.application import Site
from support.everywhere import KINDS, url_of_kind
from support.web import Web

from holdfast.stores.contract import Closes
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

#: The exceptions of a failing test.
_NOTICED = (AssertionError, pytest.fail.Exception)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply each test by the kinds of stores it wants and the bugs it must catch."""
    mutants = mutants_of(metafunc.function)
    if "place" in metafunc.fixturenames:
        wanted = metafunc.definition.get_closest_marker("kinds")
        kinds = list(wanted.args) if wanted else list(KINDS)
        cases = [pytest.param(None, kind, marks=KINDS[kind], id=kind) for kind in kinds]
        planted = kinds[0]
        cases += [
            pytest.param(mutant, planted, marks=KINDS[planted], id=f"mutant-{mutant.__name__}") for mutant in mutants
        ]
        metafunc.parametrize(("planted", "place"), cases, indirect=True)
    elif mutants:
        sound = [pytest.param(None, id="sound")]
        cases = [pytest.param(mutant, id=f"mutant-{mutant.__name__}") for mutant in mutants]
        metafunc.parametrize("planted", sound + cases, indirect=True)


@pytest.fixture(autouse=True)
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Mutant | None:
    """Plant the bug of this run, before any other fixture makes anything."""
    mutant: Mutant | None = getattr(request, "param", None)
    if mutant is not None:
        mutant(monkeypatch)
    return mutant


@pytest.fixture
def place(request: pytest.FixtureRequest, planted: Mutant | None, tmp_path: Path) -> str:
    """Return the URL of an empty store: one of each kind by turns, or of those that the mark `kinds` names."""
    return url_of_kind(request.param, request, tmp_path)


@pytest.fixture
def web_on(planted: Mutant | None) -> Iterator[Callable[..., Web]]:
    """Return a function that makes an application with settings, and closes it in the end.

    Its store is the one at a URL, or what a function makes that is given the clock.
    """
    made: list[Web] = []

    def make(place: str | Callable[[FakeClock], Any], **config: Any) -> Web:
        web = Web(place if callable(place) else lambda clock: open_store(place, clock=clock), **config)
        made.append(web)
        return web

    yield make
    for web in made:
        if isinstance(web.memory, Closes):
            web.memory.close()


@pytest.fixture
def site_on(planted: Mutant | None) -> Iterator[Callable[..., Site]]:
    """Return a function that serves the test application on the store at a URL, with settings."""
    made: list[Site] = []

    def make(place: str, **config: Any) -> Site:
        site = Site(place, **config)
        made.append(site)
        return site

    yield make
    for site in made:
        site.close()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Turn the outcome around where a bug is planted."""
    callspec = getattr(pyfuncitem, "callspec", None)
    mutant = callspec.params.get("planted") if callspec else None
    if mutant is None:
        return (yield)
    try:
        yield
    except _NOTICED:
        return True
    pytest.fail(f"the mutant survived: {mutant.__doc__}", pytrace=False)
