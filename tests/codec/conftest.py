"""The codecs as in a process without an application."""

from __future__ import annotations

import pytest
from support import seams


@pytest.fixture(autouse=True)
def _no_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the applications of other tests gave to the process."""
    seams.JSON_FORM.plant(monkeypatch, None)
