"""The flows of a request on sessions that a store keeps: see `holdfast.sessions.flows.request_flows.RequestFlows`."""

from holdfast.records.tokens import has_form
from holdfast.sessions.flows.commit import create, save
from holdfast.sessions.flows.end import end_presented, log_out
from holdfast.sessions.flows.open import find, still_valid
from holdfast.sessions.flows.remembered import join
from holdfast.sessions.flows.rotate import confirm_renewal, rotate

__all__ = [
    "confirm_renewal", "create", "end_presented", "find", "has_form", "join", "log_out", "rotate", "save",
    "still_valid",
]  # fmt: skip
