"""How a client carries the token of its session: in a cookie (`Cookies`) or in a header (`Bearer`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from holdfast.events import RejectReason

if TYPE_CHECKING:
    from holdfast.flask.bearer import Bearer
    from holdfast.flask.cookies import Cookies


class Presented(NamedTuple):
    """The token that a request presents for its session.

    Attributes:
        token: A value that can be this application's, without its signature; or None.
        reason: The reason why it is rejected, or None.
        stale: The cookie should be sent again: its signature is by a fallback key, or its name is an old one.
        others: The other different values that can be.
        final: The client sent it on purpose: if it is rejected, the request gets no session in its place.
    """

    token: str | None = None
    reason: RejectReason | None = None
    stale: bool = False
    others: tuple[str, ...] = ()
    final: bool = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reason or ('a token' if self.token else 'nothing')}>"


NOTHING = Presented()

#: Both read the tokens of requests and give responses new ones, by methods of the same names. *manager* is that of the
#: sessions whose tokens they carry, and *varies* names the headers of a request that its session depends on.
Carrier: TypeAlias = "Cookies | Bearer"
