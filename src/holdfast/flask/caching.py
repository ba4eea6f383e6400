"""What a response tells caches, so that none shows one visitor what belongs to another."""

from __future__ import annotations

from werkzeug.wrappers import Response

#: What lets a shared cache store a response.
_SHARED = {"public", "s-maxage", "proxy-revalidate"}

#: Either of these keeps it from doing so.
_NOT_SHARED = {"private", "no-store"}


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


def _names(values: list[str]) -> list[str]:
    return [part.partition("=")[0].strip().lower() for value in values for part in value.split(",")]
