"""The row about sessions from before: whether they still have to be taken over."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.contrib.doctor.checks import Row, Verdict
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.sessions.manager import Manager

_ASKS = "Sessions from before are taken over only while there are any."
_OFF = "SESSION_IMPORT = False"


def rows(manager: Manager) -> Iterator[Row]:
    """Yield the row about the place where the sessions of *manager* were before, if there is one."""
    place = manager.context.old_place
    if place is None:
        return
    try:
        left = any(manager.take_over(old_id, only_look=True) == "left" for old_id in place.ids())
        verdict = Verdict("met", "some are left") if left else Verdict("manual", "none is left", _OFF)
    except ConfigurationError as error:
        verdict = Verdict("manual", str(error), f"{_OFF} after PERMANENT_SESSION_LIFETIME")
    except StoreUnavailable as error:
        verdict = Verdict("manual", str(error))
    yield Row("Store", "imported", (), _ASKS, *verdict)
