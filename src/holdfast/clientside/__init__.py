"""Sessions that live in the browser's cookie, encrypted: for applications that want no store.

What a cookie holds cannot be taken back by itself: whoever copied it has it, and two requests at once each answer with
a cookie of their own, of which one stays. With a store for revocations, logout, rotation and `ClientSide.revoke` hold
against copies, at one or two lookups for a request that uses its session.
"""

from holdfast.clientside.sessions import ClientSide

__all__ = ["ClientSide"]
