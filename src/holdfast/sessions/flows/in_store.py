"""The flows of a request on sessions that a store keeps: see `holdfast.sessions.flows.commit.RequestFlows`."""

from holdfast.sessions.flows.check import still_valid
from holdfast.sessions.flows.end import end_presented, log_out
from holdfast.sessions.flows.open import find, has_form
from holdfast.sessions.flows.rotate import confirm_renewal, rotate
from holdfast.sessions.flows.save import create, save

__all__ = [
    "confirm_renewal",
    "create",
    "end_presented",
    "find",
    "has_form",
    "log_out",
    "rotate",
    "save",
    "still_valid",
]
