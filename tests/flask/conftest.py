"""The application that the front end is tried on."""

from __future__ import annotations

import pytest
from support.account import Account
from support.web import Web


@pytest.fixture
def web() -> Web:
    """Return an application with the default settings, on a memory store and a clock that stands still."""
    return Web()


@pytest.fixture
def account() -> Account:
    """Return an application with the page of a user's devices."""
    return Account()
