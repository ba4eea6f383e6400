"""For any input of a client or a store: no error, no write, no user signed in. `make fuzz` runs longer."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from bad_input.fuzzing.targets import MODES, STORED, Cookies, Records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SETTINGS = settings(max_examples=300, suppress_health_check=list(HealthCheck))

_cookies = functools.cache(Cookies)
_records = functools.cache(Records)


def nearly(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Draw what is nearly one of *seeds*: parts of two with something in between; or anything at all."""
    cut = st.floats(0, 1)
    joined = st.tuples(st.sampled_from(seeds), cut, st.binary(max_size=20), st.sampled_from(seeds), cut).map(
        lambda drawn: drawn[0][: int(drawn[1] * len(drawn[0]))] + drawn[2] + drawn[3][int(drawn[4] * len(drawn[3])) :]
    )
    return joined | st.binary(max_size=200)


@pytest.mark.parametrize("mode", list(MODES))
@_SETTINGS
@given(data=st.data())
def test_cookies(mode: str, data: Any) -> None:
    """No header but the genuine one signs anybody in."""
    target = _cookies(mode)
    target.feed(data.draw(nearly(list(target.seeds()))))


@pytest.mark.parametrize("mode", STORED)
@_SETTINGS
@given(data=st.data())
def test_records(mode: str, data: Any) -> None:
    """No record but the genuine one signs anybody in, where records are sealed, and none is an error."""
    target = _records(mode)
    target.feed(data.draw(nearly(list(target.seeds()))))
