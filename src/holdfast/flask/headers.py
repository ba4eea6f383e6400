"""Headers that protect a response: the directives for caches, and for clearing data after a logout."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.wrappers import Response

#: Directives that let a shared cache store a response.
_SHARED = {"public", "s-maxage", "proxy-revalidate"}

#: Directives that prevent it.
_NOT_SHARED = {"private", "no-store"}

#: These directives of Clear-Site-Data remove cookies, including the one that the response itself sets.
_OF_COOKIES = frozenset({"cookies", "*"})


def vary_by_cookie(response: Response) -> None:
    """Add ``Cookie`` to the Vary of *response*, after the application's own."""
    values = response.headers.getlist("Vary")
    if not values:
        response.headers.add("Vary", "Cookie")
        return
    said = [value for value in values if value.strip()]
    names = _names(said)
    # "*" includes Cookie, but nginx and Varnish recognise it only if it stands alone.
    if names != ["*"]:
        # One header, since nginx reads only one.
        response.headers.set("Vary", ", ".join(said if "cookie" in names else [*said, "Cookie"]))


def keep_private(response: Response) -> None:
    """Keep shared caches from storing *response*, which sets our cookie; other directives of the application stay."""
    said = [value for value in response.headers.getlist("Cache-Control") if value.strip()]
    if not _NOT_SHARED.intersection(_names(said)):
        kept = [part.strip() for value in said for part in value.split(",") if _names([part])[0] not in _SHARED]
        response.headers.set("Cache-Control", ", ".join([*kept, "private"]))


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


def _names(values: list[str]) -> list[str]:
    return [part.partition("=")[0].strip().lower() for value in values for part in value.split(",")]
