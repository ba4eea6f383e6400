"""The application that the front end is tried on."""

from __future__ import annotations

import pytest
from support.web import Web


@pytest.fixture
def web() -> Web:
    """Return an application with the default settings, on a memory store and a clock that stands still."""
    return Web()
