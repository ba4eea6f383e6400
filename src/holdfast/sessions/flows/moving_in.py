"""The flows of a request on stored sessions, while those of another place are taken over."""

from holdfast.sessions.flows.in_store import (
    confirm_renewal,
    create,
    end_presented,
    has_form,
    join,
    log_out,
    rotate,
    save,
    still_valid,
)
from holdfast.sessions.flows.take_over import find

__all__ = [
    "confirm_renewal", "create", "end_presented", "find", "has_form", "join", "log_out", "rotate", "save",
    "still_valid",
]  # fmt: skip
