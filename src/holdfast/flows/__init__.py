"""What a request does to a session, as generators that yield store operations (`holdfast.operations`).

Written once, run by a sync or an async driver, and by a test that interleaves them at every operation.
"""

from holdfast.flows.committing import commit
from holdfast.flows.context import Context
from holdfast.flows.ending import revoke, revoke_all
from holdfast.flows.listing import SessionInfo, find, list_of
from holdfast.flows.opening import open_session

__all__ = ["Context", "SessionInfo", "commit", "find", "list_of", "open_session", "revoke", "revoke_all"]
