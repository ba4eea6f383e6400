"""Internal: what a request does to a session, as generators that yield store operations (`holdfast.sessions.ops`).

Written once, run by a sync or an async driver, and by a test that interleaves them at every operation.
"""

from holdfast.sessions.flows.checking import live_token
from holdfast.sessions.flows.committing import commit
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.ending import revoke, revoke_all
from holdfast.sessions.flows.listing import SessionInfo, find, list_of
from holdfast.sessions.flows.opening import open_session
from holdfast.sessions.flows.scanning import SessionPage, Sweep, count, page_of, revoke_everyone, survey, sweep_page
from holdfast.sessions.flows.single_use import consume_authentication, pop_stored
from holdfast.sessions.flows.statistics import Survey

__all__ = [
    "Context",
    "SessionInfo",
    "SessionPage",
    "Survey",
    "Sweep",
    "commit",
    "consume_authentication",
    "count",
    "find",
    "list_of",
    "live_token",
    "open_session",
    "page_of",
    "pop_stored",
    "revoke",
    "revoke_all",
    "revoke_everyone",
    "survey",
    "sweep_page",
]
