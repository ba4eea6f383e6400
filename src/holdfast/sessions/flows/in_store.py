"""The flows of a request on sessions that a store keeps: see `holdfast.sessions.flows.commit.RequestFlows`."""

from holdfast.sessions.flows.check import still_valid
from holdfast.sessions.flows.end import log_out, log_out_presented
from holdfast.sessions.flows.open import open_session
from holdfast.sessions.flows.rotate import confirm_renewal, rotate
from holdfast.sessions.flows.save import create, save

__all__ = [
    "confirm_renewal",
    "create",
    "log_out",
    "log_out_presented",
    "open_session",
    "rotate",
    "save",
    "still_valid",
]
