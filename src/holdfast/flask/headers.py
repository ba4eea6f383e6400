"""Headers that keep a response from others: what caches may do with it, and what a browser clears after a logout."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.wrappers import Response

#: What lets a shared cache store a response.
_SHARED = {"public", "s-maxage", "proxy-revalidate"}

#: Either of these keeps it from doing so.
_NOT_SHARED = {"private", "no-store"}

#: These directives of Clear-Site-Data remove cookies, the one that the response itself sets too.
_OF_COOKIES = frozenset({"cookies", "*"})


def vary_by_cookie(response: Response) -> None:
    """Say that *response* depends on the cookies of its request, after what the application says itself."""
    values = response.headers.getlist("Vary")
    if not values:
        response.headers.add("Vary", "Cookie")
        return
    said = [value for value in values if value.strip()]
    names = _names(said)
    # Cookie is among what "*" stands for, and nginx and Varnish know it by itself alone.
    if names != ["*"]:
        # One header, since nginx looks at no more than one.
        response.headers.set("Vary", ", ".join(said if "cookie" in names else [*said, "Cookie"]))


def keep_private(response: Response) -> None:
    """Keep shared caches from storing *response*, which sets our cookie; what the application says on top stays."""
    said = [value for value in response.headers.getlist("Cache-Control") if value.strip()]
    if not _NOT_SHARED.intersection(_names(said)):
        kept = [part.strip() for value in said for part in value.split(",") if _names([part])[0] not in _SHARED]
        response.headers.set("Cache-Control", ", ".join([*kept, "private"]))


def forbid_storing(response: Response) -> None:
    """Let no cache keep *response*. What the application said about caching stays beside it."""
    if not response.headers.getlist("Cache-Control"):
        response.headers.add("Cache-Control", "no-store")
    elif not response.cache_control.no_store:
        response.cache_control.no_store = True


def clear_site_data(directives: Sequence[str], response: Response, *, goes_on: bool) -> None:
    """Make the browser clear what *directives* name, after a logout. An application's own header stays.

    *goes_on*: the response gives the browser a cookie for what is left of the session, which must stay.
    """
    wanted = [f'"{directive}"' for directive in directives if not (goes_on and directive in _OF_COOKIES)]
    if wanted and "Clear-Site-Data" not in response.headers:
        response.headers["Clear-Site-Data"] = ", ".join(wanted)


def _names(values: list[str]) -> list[str]:
    return [part.partition("=")[0].strip().lower() for value in values for part in value.split(",")]
