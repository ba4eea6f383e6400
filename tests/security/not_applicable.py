"""The published advisories that cannot happen here, and why."""

from __future__ import annotations

#: By the id of the advisory: the reason, in one sentence.
NOT_APPLICABLE: dict[str, str] = {
    "CVE-2022-24880": (
        "Holdfast checks no answers for an application: what its own methods tell is a bool, a word of a fixed list, "
        "or an error, and `session.pop_once` gives a value that is missing to nobody."
    ),
    "CVE-2024-51996": (
        "Holdfast makes no remember-me tokens. Flask-Login's are signed with the user's id in them, and whoever comes "
        "with one gets a session of their own."
    ),
    "CVE-2026-34454": (
        "Holdfast has no sign-in page of its own, and another's has nothing to clear: a session ends on the server."
    ),
    "CVE-2026-40303": (
        "A session is in one cookie: none is put together from several, and what is longer than a browser would send "
        "is refused before it is read."
    ),
}
