"""The managers of sessions in the cookie. They serve requests, but cannot list sessions that only browsers have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.events import RevokeResult
from holdfast.records.cookie import SealedCookie
from holdfast.records.encryption import Keyring, Sealer
from holdfast.records.tokens import Keys, is_key
from holdfast.sessions.ends import Ends
from holdfast.sessions.flows.in_cookie import InCookie, revoke, revoke_all
from holdfast.sessions.flows.revoke import RevokedCount
from holdfast.sessions.requests import Options, Requests
from holdfast.sessions.state import SessionState
from holdfast.stores.contract import Store

if TYPE_CHECKING:
    from typing_extensions import Unpack


class CookieManager(Requests):
    """Opens and commits the sessions in one application's cookies. A logout ends one in its browser only.

    Args:
        keyring: The keys that cookies are encrypted with.
        names: The cookie's name, which a value is bound to, and former ones that are still read.
        options: See `holdfast.sessions.requests.Options`.
    """

    def __init__(self, keyring: Keyring, *, names: Sequence[str], **options: Unpack[Options]) -> None:
        cookie = SealedCookie(keyring, names=names, keys=options.get("keys") or Keys())
        super().__init__(InCookie(cookie, revocable=False), None, **options)


class RevocableCookieManager(Ends):
    """The same with a store for revocations, so that sessions end everywhere: see `Ends`.

    Args:
        keyring, names, options: As of `CookieManager`.
        store: The store of the revocations. The caller closes it.
    """

    def __init__(self, keyring: Keyring, *, names: Sequence[str], store: Store, **options: Unpack[Options]) -> None:
        keys = options.get("keys") or Keys()
        cookie, sealer = SealedCookie(keyring, names=names, keys=keys), Sealer("mac", keyring, namespace=keys.namespace)
        super().__init__(InCookie(cookie, revocable=True), store, sealer=sealer, **options)
        self.store = store

    def revoke(self, handle: str) -> RevokeResult:
        """End the session with *handle*: ``absent`` if it was revoked already. Whether it exists is unknown."""
        return self._run(revoke(self.context, handle)) if is_key(handle) else "absent"

    def revoke_owner(self, owner: str, *, keep: str | None = None, state: SessionState | None = None) -> RevokedCount:
        """End sessions as `revoke_all` does, by the owner value. Return 0: the number is unknown."""
        self._run(revoke_all(self.context, owner, keep=keep, state=state))
        return RevokedCount(0, "confirmed")
