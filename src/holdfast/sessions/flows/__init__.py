"""Internal: the flows of a request on a session: generators that yield store calls (`holdfast.sessions.ops`).

Written once, run by a driver, and by a test that interleaves them at every call.
"""
