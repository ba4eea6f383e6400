"""Every token is the same in each run, as an explorer needs it."""

from __future__ import annotations

import pytest
from explorer.world import Mint
from support import seams


@pytest.fixture(autouse=True)
def _known_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    seams.TOKEN_RANDOMNESS.plant(monkeypatch, Mint)
