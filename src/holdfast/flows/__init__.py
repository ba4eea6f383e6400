"""What a request does to a session, as generators that yield store operations (`holdfast.operations`).

Written once, run by a sync or an async driver, and by a test that interleaves them at every operation.
"""

from holdfast.flows.checking import live_token
from holdfast.flows.committing import commit
from holdfast.flows.context import Context
from holdfast.flows.ending import revoke, revoke_all
from holdfast.flows.listing import SessionInfo, find, list_of
from holdfast.flows.opening import open_session
from holdfast.flows.scanning import SessionPage, Sweep, count, page_of, revoke_everyone, survey, sweep_page
from holdfast.flows.surveying import Survey
from holdfast.flows.taking import spend, take

__all__ = [
    "Context",
    "SessionInfo",
    "SessionPage",
    "Survey",
    "Sweep",
    "commit",
    "count",
    "find",
    "list_of",
    "live_token",
    "open_session",
    "page_of",
    "revoke",
    "revoke_all",
    "revoke_everyone",
    "spend",
    "survey",
    "sweep_page",
    "take",
]
