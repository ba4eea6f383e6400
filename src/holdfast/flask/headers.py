"""Headers that protect a response: the directives for caches, and for clearing data after a logout."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.wrappers import Response

#: These directives of Clear-Site-Data remove cookies, including the one that the response itself sets.
_OF_COOKIES = frozenset({"cookies", "*"})


def forbid_storing(response: Response) -> None:
    """Forbid caches to store *response*. The application's own directives stay."""
    if not response.headers.getlist("Cache-Control"):
        response.headers.add("Cache-Control", "no-store")
    elif not response.cache_control.no_store:
        response.cache_control.no_store = True


def clear_site_data(directives: Sequence[str], response: Response, *, goes_on: bool) -> None:
    """Make the browser clear the data of *directives*, after a logout. An application's own header stays.

    *goes_on*: the response sends a cookie for the rest of the session, which must not be cleared.
    """
    wanted = [f'"{directive}"' for directive in directives if not (goes_on and directive in _OF_COOKIES)]
    if wanted and "Clear-Site-Data" not in response.headers:
        response.headers["Clear-Site-Data"] = ", ".join(wanted)
